"""What happens to a policy's variables before they are rounded: each step by the name of its switch in the converter's config.

All that is rounded goes through here: a run's snapshots, exports that are made anew, studies and benchmarks. What was prepared once may
be prepared again on other observations, as the float policy stays the same function and its corrected biases are never kept as its own.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import bias_correction
from tfquarl.networks import layer_equalization
from tfquarl.networks import observation_scaling
from tfquarl.quantization import recipe as recipe_lib

NAMES = ("scale_observations", "equalize_layers", "correct_biases")

_Variables = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A snapshot, ready to be rounded.

    Attributes:
      policy: the same policy, in variables that lose less when they are rounded.
      rounded: what the rounded model is made of: that policy but for its biases, which take back what rounding adds.
      preparations: names of the steps that changed `policy`.
      corrections: names of those that changed `rounded` further.
    """

    policy: records.PolicySnapshot
    rounded: records.PolicySnapshot
    preparations: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()


def steps_for(recipe: recipe_lib.Recipe) -> tuple[str, ...]:
    """Names of the steps that a recipe gains by: all of them where weights are rounded to int8, else none."""
    return NAMES if recipe.rounds_to_int8 else ()


def prepare(
    architecture: architecture_lib.PolicyArchitecture,
    snapshot: records.PolicySnapshot,
    observations: np.ndarray,
    wanted: Collection[str],
    range_share: float = observation_scaling.RANGE_SHARE,
) -> Prepared:
    """The snapshot after the `wanted` steps; one with ranges was trained for the variables that it has, and stays as it is.

    Args:
      architecture: of the policy.
      snapshot: of its variables.
      observations: float32 [N, D], as the environment gives them, that the steps go by.
      wanted: some of `NAMES`.
      range_share: of `observation_scaling.scale_features`.
    """
    if snapshot.ranges:
        return Prepared(snapshot, snapshot)
    steps: dict[str, Callable[[_Variables], _Variables]] = {
        "scale_observations": lambda variables: observation_scaling.scale_features(
            variables, observations, range_share
        ),
        "equalize_layers": lambda variables: layer_equalization.equalize(architecture, variables, observations),
    }
    correction = {"correct_biases": lambda variables: bias_correction.correct(architecture, variables, observations)}
    policy, preparations = _apply({name: step for name, step in steps.items() if name in wanted}, snapshot)
    rounded, corrections = _apply({name: step for name, step in correction.items() if name in wanted}, policy)
    return Prepared(policy, rounded, preparations, corrections)


def _apply(
    steps: Mapping[str, Callable[[_Variables], _Variables]], snapshot: records.PolicySnapshot
) -> tuple[records.PolicySnapshot, tuple[str, ...]]:
    """The snapshot after all steps, and the names of those that gave other variables."""
    variables, applied = snapshot.variables, []
    for name, step in steps.items():
        before, variables = variables, step(variables)
        if any(variables[key] is not before[key] for key in before):
            applied.append(name)
    return dataclasses.replace(snapshot, variables=variables), tuple(applied)
