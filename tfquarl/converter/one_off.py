"""One snapshot to one model, as a run's converter makes it: for exports, studies and all that converts a policy once."""

import numpy as np

from tfquarl.converter import policy_converter
from tfquarl.converter import preparation
from tfquarl.converter import reference_process
from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import observation_scaling
from tfquarl.quantization import recipe as recipe_lib


def convert(
    architecture: architecture_lib.PolicyArchitecture,
    recipe: recipe_lib.Recipe,
    snapshot: records.PolicySnapshot,
    calibration: np.ndarray,
    reference: reference_process.ReferenceProcess,
) -> bytes:
    """The policy as a flatbuffer, prepared where the recipe gains by it; observation scaling that is the identity is left out.

    Args:
      architecture: of the policy.
      recipe: in force.
      snapshot: of its variables.
      calibration: observations, float32 [N, D] as the environment gives them.
      reference: TFLiteConverter's process, one for all that is converted: it takes seconds to start.

    Raises:
      ConversionError, NumericalError: as `policy_converter.PolicyConverter.convert`.
    """
    source = preparation.prepare(architecture, snapshot, calibration, preparation.steps_for(recipe)).rounded
    is_scaled = not observation_scaling.is_identity(source.variables)
    return policy_converter.PolicyConverter(architecture, recipe, is_scaled, reference).convert(source, calibration)
