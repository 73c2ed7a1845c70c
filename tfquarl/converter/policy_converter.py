"""Snapshots to flatbuffers by one recipe."""

from collections.abc import Mapping

import numpy as np

from tfquarl.converter import scaling_ops
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import model_info


class PolicyConverter:
    """Turns snapshots of one architecture into policies of one recipe."""

    def __init__(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        recipe: recipe_lib.Recipe,
        scale_observations: bool = True,
    ) -> None:
        """Stores the arguments.

        Args:
          architecture: of the policy.
          recipe: in force.
          scale_observations: whether snapshots may have an observation scaling other than the identity.
        """
        self._architecture = architecture
        self._recipe = recipe
        self._scale_observations = scale_observations

    @property
    def architecture(self) -> architecture_lib.PolicyArchitecture:
        """Of the policy."""
        return self._architecture

    @property
    def recipe(self) -> recipe_lib.Recipe:
        """The recipe in force."""
        return self._recipe

    def prepare(self) -> None:
        """Does ahead what doesn't depend on a snapshot; `convert` does it otherwise when it is first called."""

    def convert(self, snapshot: records.PolicySnapshot, observations: np.ndarray | None = None) -> bytes:
        """The snapshot's policy as a flatbuffer.

        Args:
          snapshot: of the architecture's variables.
          observations: for calibration, float32 [N, D] as the environment gives them; None where the recipe needs none.

        Raises:
          ConversionError: variables that are not the architecture's, no observations where the recipe needs some, or a file
            that isn't what the recipe says.
          NumericalError: a variable, or the observations, with a NaN or an infinity.
        """
        source = f"snapshot {snapshot.version}"
        self._check_variables(source, snapshot.variables)
        observations = self._check_observations(source, observations) if self._recipe.needs_calibration else None
        from tfquarl.converter import reference_path  # TensorFlow

        model = reference_path.convert(
            self._architecture, self._recipe, snapshot.variables, observations, self._scale_observations
        )
        model_info.check_model(model, self._recipe)
        return model

    def _check_variables(self, source: str, variables: Mapping[str, np.ndarray]) -> None:
        try:
            self._architecture.check_variables(variables, source)
        except ValueError as error:
            raise errors.ConversionError(str(error)) from error
        for name, value in variables.items():
            if not np.all(np.isfinite(value)):
                raise errors.NumericalError(
                    f"{source}: variable '{name}' has {np.count_nonzero(~np.isfinite(value))} values that are not finite"
                )
        offset, scale = variables[scaling_ops.OFFSET], variables[scaling_ops.SCALE]
        if not self._scale_observations and (np.any(offset != 0) or np.any(scale != 1)):
            raise errors.ConversionError(
                f"{source}: it scales observations and the converter was made without; set scale_observations"
            )

    def _check_observations(self, source: str, observations: np.ndarray | None) -> np.ndarray:
        size = self._architecture.observation_size
        if observations is None or len(observations) == 0:
            raise errors.ConversionError(f"{source}: recipe '{self._recipe.name}' needs observations for calibration")
        if observations.ndim != 2 or observations.shape[1] != size:
            raise errors.ConversionError(
                f"{source}: calibration observations have shape {observations.shape}, the network needs [N, {size}]"
            )
        if not np.all(np.isfinite(observations)):
            raise errors.NumericalError(f"{source}: calibration observations have values that are not finite")
        return np.ascontiguousarray(observations, np.float32)
