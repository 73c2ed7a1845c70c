"""A search over bindings by Optuna: each trial is a combination, run with all seeds, and valued by what its policies earn.

Optuna keeps nothing on the disk: its study is made again from the results of the trials' runs, so that a search goes on where it stopped.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
from typing import Any

import optuna

from tfquarl.core import errors
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_runner
from tfquarl.metrics import return_text

# A name with brackets: no value that gin reads.
_CALL = re.compile(r"\w+\(.*\)")
_RANGE = re.compile(r"(log)?(float|int)\(\s*([^,\s]+)\s*,\s*([^,\s]+)\s*\)")


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """What a search varies.

    Attributes:
      space: by parameter: 'float(0.9, 1.0)', 'logfloat(1e-4, 1e-2)', 'int(1, 10)', 'logint(32, 512)', or values between bars.
      num_trials: combinations that are tried.
      seed: of the sampler.
    """

    space: Mapping[str, str]
    num_trials: int
    seed: int = 0

    def distributions(self) -> dict[str, Any]:
        """Optuna's distributions by parameter.

        Raises:
          ConfigError: a text of another form.
        """
        return {name: _distribution(name, text) for name, text in self.space.items()}

    def samples(self, plan: sweep_plan.SweepPlan) -> list[sweep_plan.Cell]:
        """Runs with every choice and both ends of every range: what gin refuses of them, no trial could run.

        Raises:
          ConfigError: a text of another form.
        """
        columns = [
            [f"{name} = {value}" for value in _extremes(distribution)]
            for name, distribution in self.distributions().items()
        ]
        most = max(map(len, columns))
        combinations = [tuple(column[number % len(column)] for column in columns) for number in range(most)]
        return [plan.cell(bindings, plan.seeds[0]) for bindings in combinations]


def search(
    plan: sweep_plan.SweepPlan,
    search_plan: SearchPlan,
    runner: sweep_runner.SweepRunner,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Tries combinations by Optuna's TPE sampler, best mean return first; results of all runs.

    The sampler is seeded and tells each trial's value before it asks for the next, so that a search that is begun again asks for the
    same combinations, whose runs are there already.

    Args:
      plan: of what all trials share; its grid and variants are not looked at.
      search_plan: what varies.
      runner: runs each trial's seeds.
      report: takes a line for each trial.

    Raises:
      ConfigError: no trial succeeded.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=search_plan.seed))
    distributions = search_plan.distributions()
    results: list[dict[str, Any]] = []
    for number in range(search_plan.num_trials):
        trial = study.ask(distributions)
        bindings = tuple(f"{name} = {value}" for name, value in trial.params.items())
        found = runner.run([plan.cell(bindings, seed) for seed in plan.seeds])
        results += found
        if len(found) < len(plan.seeds):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        value = _value(found)
        study.tell(trial, value)
        found_return, best = return_text.of(value), return_text.of(study.best_value)
        report(
            f"trial {number + 1} of {search_plan.num_trials}: {found_return} with {'; '.join(bindings)}; best {best}"
        )
    if not results:
        raise errors.ConfigError("no run of the search succeeded; their log.txt say why")
    return list({result["cell"]["name"]: result for result in results}.values())  # the sampler may ask for one again


def _value(results: Sequence[Mapping[str, Any]]) -> float:
    """Mean return of the trained policies over the seeds."""
    returns = [row["mean_return"] for result in results for row in result["rows"] if row["kind"] == "trained"]
    return sum(returns) / len(returns)


def _extremes(distribution: Any) -> Sequence[Any]:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return distribution.choices
    return distribution.low, distribution.high


def _distribution(name: str, text: str) -> Any:
    match = _RANGE.fullmatch(text.strip())
    try:
        if match is None:
            choices = [part.strip() for part in text.split("|")]
            if not all(choices):
                raise ValueError("an empty value")
            if unknown := [choice for choice in choices if _CALL.fullmatch(choice)]:
                raise ValueError(f"'{unknown[0]}' is no value")
            return optuna.distributions.CategoricalDistribution(choices)
        is_log, kind, low, high = match.groups()
        if kind == "int":
            return optuna.distributions.IntDistribution(int(low), int(high), log=bool(is_log))
        return optuna.distributions.FloatDistribution(float(low), float(high), log=bool(is_log))
    except ValueError as error:
        raise errors.ConfigError(
            f"--search '{name} = {text}': {error}; needs float(a, b), logfloat(a, b), int(a, b), logint(a, b) or 'a | b'"
        ) from error
