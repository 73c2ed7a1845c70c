"""What a study's page tells before its tables: how its runs were made, what its figures mean, and what is amiss with some of them."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from tfquarl.experiments import provenance
from tfquarl.experiments import study_results
from tfquarl.metrics import statistics


def lines(results: Sequence[study_results.TaskResult], left_out: Sequence[str]) -> list[str]:
    """Lines of Markdown.

    Args:
      results: of all tasks.
      left_out: names of runs that are in none of them.
    """
    outcomes = [outcome for result in results for found in result.outcomes.values() for outcome in found]
    versions = [outcome.run.versions for outcome in outcomes]
    energies = [outcome.energy for outcome in outcomes]
    return [
        "S: TF-Agents' own float32 collectors, with variables from its Reverb container. F32, F16, D8, I8: this project's collectors by",
        "recipe. Learner, agent, replay ratio, seeds and environment steps are the same.",
        f"{provenance.machines(versions)}, commits {provenance.commits(versions)}.",
        "Wall time is from a run's start until a policy was published, the last one or the first of 90 or 95 % of S; the verdict on it comes later.",
        f"Energy is {provenance.meters(energies)}.",
        *_codecarbon(energies),
        "Final return: of the last policy in the number format of its arm, also where parity refused it; beside it the mean of all policies judged",
        "in the last tenth of the train steps, which depends less on which policy comes last. Best S return: mean over seeds of each run's highest",
        "return. Bytes per policy: of the last one in that format; for S of the float32 model.",
        f"Steady: the same of means over {study_results.STEADY_COUNT} policies that were judged one after the other, since a single one can be good by luck.",
        f"Plots of returns: the target is {study_results.SHARES[-1]:.0%} of the way to the best S return; bands go from an arm's least run to its highest.",
        "Intervals of few seeds are Student's t, for ratios of five seeds and more a bootstrap's: wide, and some reach beyond what a return can be.",
        *map(_judged_every, results),
        *_held_actions(results),
        *_refused(results),
        *_started_again(results),
        *_other_meters(results),
        *_left_out(left_out),
    ]


def _codecarbon(energies: Sequence[Mapping[str, Any]]) -> list[str]:
    """codecarbon's joules as a share of this project's, over the runs that it measured too."""
    measured = [(energy, energy["codecarbon"]) for energy in energies if energy.get("codecarbon")]
    if not measured:
        return []
    shares = [100 * codecarbon["joules"] / energy["joules"] for energy, codecarbon in measured]
    runs = f"{len(shares)} of {len(energies)} runs" if len(shares) < len(energies) else f"all {len(shares)} runs"
    versions = " and ".join(sorted({codecarbon["version"] for _, codecarbon in measured}))
    return [
        f"codecarbon {versions}, offline and in its process mode, had {statistics.median_and_spread(shares).median:.0f} % of these joules"
        f" ({min(shares):.0f} .. {max(shares):.0f}) over {runs}."
    ]


def _judged_every(result: study_results.TaskResult) -> str:
    """Of many verdicts the first good one comes sooner by luck: an arm that has more of them would be favoured."""
    gaps = {arm: result.judged_every(arm) for arm in result.outcomes}
    told = ", ".join(f"{arm} {'--' if gap is None else format(gap, '.0f')}" for arm, gap in gaps.items())
    return f"Train steps from one judged policy of {result.task} to the next, medians: {told}."


def _held_actions(results: Sequence[study_results.TaskResult]) -> Iterator[str]:
    for result in results:
        count = next(iter(result.outcomes.values()))[0].run.action_repeat
        if count > 1:
            yield f"On {result.task} an environment step is an action, held for {count} steps of the environment's own."


def _refused(results: Sequence[study_results.TaskResult]) -> Iterator[str]:
    """Collectors that acted by float32 models were none of their arm, whatever its verdicts and bytes are of."""
    for result in results:
        for arm, outcomes in result.outcomes.items():
            checked, refused, as_float32 = (
                sum(getattr(outcome.parity, name) for outcome in outcomes)
                for name in ("num_checked", "num_refused", "num_as_float32")
            )
            if refused:
                yield (
                    f"Refused by parity: {result.task} {arm} {refused} of {checked} policies; collectors acted by float32 in place of"
                    f" {as_float32} of them."
                )


def _started_again(results: Sequence[study_results.TaskResult]) -> Iterator[str]:
    told = [
        f"{result.task}/{arm}_seed{outcome.seed} ({', '.join(f'{name} {count}' for name, count in outcome.num_restarts.items())})"
        for result in results
        for arm, outcomes in result.outcomes.items()
        for outcome in outcomes
        if outcome.num_restarts
    ]
    if told:
        yield f"Runs whose processes were started again, times and energy included: {', '.join(told)}."


def _other_meters(results: Sequence[study_results.TaskResult]) -> Iterator[str]:
    told = [
        f"{result.task} {arm} {len(unlike)} of {result.num_pairs(arm)} seeds"
        for result in results
        for arm in result.outcomes
        if (unlike := result.seeds_of_other_meters(arm))
    ]
    if told:
        yield (
            "Ratios of energy leave out seeds of which S's joules were found in another way, as an estimate tells nothing beside a"
            f" measurement: {', '.join(told)}."
        )


def _left_out(runs: Sequence[str]) -> Iterator[str]:
    if runs:
        yield (
            f"Runs left out, which have not used their budget, were resumed, or were never judged, {len(runs)}: {', '.join(runs)}."
        )
