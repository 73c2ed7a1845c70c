"""What is to be exported: one policy under every recipe that could be made of it, with observations to judge them by."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.networks import observation_scaling
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import integer_core

MIN_OBSERVATIONS = 16
REFERENCE = "float32"


@dataclasses.dataclass(frozen=True)
class PolicyCandidate:
    """A policy that may become a bundle.

    Attributes:
      name: what the bundle's files call it, e.g. 'dm_control:walker-stand, policy 12'.
      spec: of its environment.
      output_name: 'q_values' or 'action'.
      recipe: of the exported model, with the type of its input and output.
      models: flatbuffers with float input and output by recipe name; `recipe.name` and 'float32' are among them.
      missing: recipes that could not be made, with the reason.
      observations: real ones that calibration has not seen, float32 [N, D].
      facts: plain JSON values for the model card and policy.json: 'source' (what it was made from), 'version', 'train_step',
        'training' and whatever else is known.
      remedy: what may help where the exported policy is far from the float one: why it may be, and what to use instead.
    """

    name: str
    spec: environment_spec.EnvironmentSpec
    output_name: str
    recipe: recipe_lib.Recipe
    models: Mapping[str, bytes]
    missing: Mapping[str, str]
    observations: np.ndarray
    facts: Mapping[str, Any]
    remedy: str = "use more calibration observations, another recipe,"

    def __post_init__(self) -> None:
        for name in (REFERENCE, self.recipe.name):
            if name not in self.models:
                raise errors.ConversionError(f"recipe '{name}' could not be made: {self.missing.get(name, 'no model')}")
        check_observations(self.observations, self.spec.observation_size, "the observations")

    @property
    def scaling(self) -> dict[str, list[float]] | None:
        """Of the observations in the exported model, by 'offset' and 'scale' [D]; None where it has none, or it is foreign and not known."""
        graph = integer_core.PolicyGraph(self.models[self.recipe.name])
        names = (observation_scaling.OFFSET, observation_scaling.SCALE)
        found = {name: value for name in names if (value := graph.float_constant(name)) is not None}
        if len(found) < len(names) or observation_scaling.is_identity(found):
            return None
        return {name.rpartition("/")[2]: value.tolist() for name, value in found.items()}


def convert_all(
    wanted: str, ready: Mapping[str, bytes], convert: Callable[[recipe_lib.Recipe], bytes]
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Flatbuffers with float input and output by recipe, and the recipes that could not be made with the reason.

    Args:
      wanted: a recipe that is made beside those that always are, such as a low-bit one.
      ready: models that are there already, by recipe.
      convert: makes the others.
    """
    models, missing = {}, {}
    for name in dict.fromkeys([*recipe_lib.NAMES, *ready, wanted]):
        try:
            models[name] = ready[name] if name in ready else convert(recipe_lib.from_name(name))
        except (errors.ConversionError, errors.NumericalError) as error:
            missing[name] = str(error)
    return models, missing


def check_observations(observations: np.ndarray, size: int, source: str) -> None:
    """Checks that observations can be used to calibrate and to judge a policy.

    Args:
      observations: float32 [N, D].
      size: D that the policy needs.
      source: what they come from, for the message.

    Raises:
      ConfigError: too few, of another shape, not finite, or all the same.
    """
    if observations.ndim != 2 or observations.shape[1] != size:
        raise errors.ConfigError(f"{source} have shape {list(observations.shape)}, the policy needs [N, {size}]")
    if len(observations) < MIN_OBSERVATIONS:
        raise errors.ConfigError(f"{source} are {len(observations)}, needs at least {MIN_OBSERVATIONS}; collect more")
    bad = np.argwhere(~np.isfinite(observations))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise errors.ConfigError(
            f"{source} hold {observations[row, column]} in row {row}, feature {column}, and {len(bad) - 1} more that are not finite; "
            "remove those rows"
        )
    if np.all(observations == observations[0]):
        raise errors.ConfigError(
            f"{source} are all the same; calibration needs what the policy meets, so collect them by acting"
        )
