"""The parity gate: no policy is published before it was compared with the float one on the runtime that collectors use."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.quantization import parity
from tfquarl.runtime import interpreter

ON_FAILURE = ("keep", "publish_float32", "stop")


@dataclasses.dataclass(frozen=True)
class ParityConfig:
    """What a converted policy may differ from the float one.

    Attributes:
      max_action_error_share: largest error of one action, as a share of its range.
      mean_action_error_share: mean error of the actions, as a share of their range.
      min_greedy_agreement: share of observations with the same greedy action.
      mean_q_error_share: mean error of q_values, as a share of their mean spread over the actions.
      max_regret_share: a greedy disagreement counts only where the float policy's value that it gives away is more than this
        share of the spread: between actions of equal value either choice is right.
      on_failure: 'keep' the previous policy, 'publish_float32' instead, or 'stop' the run.
    """

    max_action_error_share: float = 0.25
    mean_action_error_share: float = 0.03
    min_greedy_agreement: float = 0.8
    mean_q_error_share: float = 0.25
    max_regret_share: float = 0.05
    on_failure: str = "publish_float32"

    def __post_init__(self) -> None:
        if self.on_failure not in ON_FAILURE:
            raise errors.ConfigError(f"parity: on_failure is '{self.on_failure}', needs one of {', '.join(ON_FAILURE)}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "on_failure" and math.isnan(value):
                raise errors.ConfigError(f"parity: {field.name} is {value}, needs a number")


@dataclasses.dataclass(frozen=True)
class ParityReport:
    """The verdict on one converted policy.

    Attributes:
      passed: whether all thresholds are met.
      num_observations: M, held-out observations that were compared.
      figures: by name, of `quantization.parity`; empty where nothing could be compared.
      failures: one sentence for each threshold that isn't met.
    """

    passed: bool
    num_observations: int
    figures: Mapping[str, float]
    failures: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether the policy can be run, and gave numbers that could be compared."""
        return bool(self.figures)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "passed": self.passed,
            "num_observations": self.num_observations,
            "figures": dict(self.figures),
            "failures": list(self.failures),
        }


def refused(error: errors.RefusedModelError, num_observations: int) -> ParityReport:
    """The verdict on a policy that no runtime can run."""
    return ParityReport(False, num_observations, {}, (str(error),))


class ParityGate:
    """Compares converted policies with their float originals."""

    def __init__(self, config: ParityConfig) -> None:
        """Stores the thresholds."""
        self._config = config

    @property
    def config(self) -> ParityConfig:
        """The thresholds and what follows from a failure."""
        return self._config

    def check(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        variables: Mapping[str, np.ndarray],
        model: bytes,
        observations: np.ndarray,
        expected: np.ndarray | None = None,
    ) -> ParityReport:
        """The verdict on `model`.

        Args:
          architecture: of the policy.
          variables: of the float policy.
          model: the converted policy.
          observations: float32 [M, D], none of which the calibration saw.
          expected: what the learner's network gives for them where that isn't the float policy: [M, O], of a network trained quantized.

        Raises:
          ArtifactError: bytes that are not a policy.
          NumericalError: what the model is compared with isn't finite.
        """
        if expected is None:
            with np.errstate(all="ignore"):
                expected = numpy_policy.forward(architecture, variables, observations)["output"]
        if not np.all(np.isfinite(expected)):
            raise errors.NumericalError(
                "the policy's own outputs are not finite on the observations that parity goes by; lower the learning rate, or look "
                "for features that explode"
            )
        try:
            got = interpreter.PolicyInterpreter(model, len(observations))(observations)
        except errors.RefusedModelError as error:
            return refused(error, len(observations))
        if not np.all(np.isfinite(got)):
            return ParityReport(False, len(observations), {}, ("outputs are not finite",))
        figures = parity.figures(got, expected, architecture.action_low, architecture.action_high)
        failures = self._failures(figures)
        return ParityReport(not failures, len(observations), figures, failures)

    def _failures(self, figures: Mapping[str, float]) -> tuple[str, ...]:
        config = self._config
        limits = {
            "action_error_max_share": config.max_action_error_share,
            "action_error_mean_share": config.mean_action_error_share,
            "q_error_mean_share": config.mean_q_error_share,
        }
        failures = [
            f"{name} is {figures[name]:.4g}, at most {limit:.4g} is allowed"
            for name, limit in limits.items()
            if name in figures and not figures[name] <= limit
        ]
        disagrees = figures.get("greedy_agreement", 1.0) < config.min_greedy_agreement
        if disagrees and not figures["regret_share"] <= config.max_regret_share:
            failures.append(
                f"greedy_agreement is {figures['greedy_agreement']:.4g}, at least {config.min_greedy_agreement:.4g} is needed"
            )
        return tuple(failures)
