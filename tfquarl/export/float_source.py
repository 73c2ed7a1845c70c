"""Policies that were not trained here, from a float source to a candidate for export."""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any
from typing import Protocol

import numpy as np

from tfquarl.converter import one_off
from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.export import acting
from tfquarl.export import array_file
from tfquarl.export import candidate as candidate_lib
from tfquarl.export import native_output
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import model_runner

TOLERANCE_SHARE = 1e-3

_LEAST_RANGE_SHARE = 1 / 20


class FloatSource(Protocol):
    """A float policy that can be converted."""

    @property
    def kind(self) -> str:
        """What it was read as, for people."""
        ...

    @property
    def sizes(self) -> tuple[int, int]:
        """Elements of its observation and of its output."""
        ...

    @property
    def architecture(self) -> architecture_lib.PolicyArchitecture | None:
        """Of its network, with the head and the bounds of its actions; None where it isn't known."""
        ...

    def convert(self, recipe: recipe_lib.Recipe, calibration: np.ndarray) -> bytes:
        """The policy as a flatbuffer with float input and output; raises `ConversionError` where that can't be."""
        ...

    def outputs(self, observations: np.ndarray) -> np.ndarray:
        """What the source itself gives, float32 [N, O], for observations [N, D]."""
        ...

    def release(self) -> None:
        """Gives back what conversions keep for the next one, which starts it again."""
        ...


@dataclasses.dataclass(frozen=True)
class Weights:
    """Variables with the architecture that they belong to.

    Attributes:
      architecture: of the policy.
      variables: float32 arrays by the names of `PolicyArchitecture.variable_shapes`.
      reference: TFLiteConverter's process, one for all recipes.
    """

    architecture: architecture_lib.PolicyArchitecture
    variables: Mapping[str, np.ndarray]
    reference: reference_process.ReferenceProcess = dataclasses.field(
        default_factory=reference_process.ReferenceProcess
    )

    @property
    def kind(self) -> str:
        """What it was read as, for people."""
        return "weights"

    @property
    def sizes(self) -> tuple[int, int]:
        """Elements of its observation and of its output."""
        return self.architecture.observation_size, self.architecture.output_size

    def convert(self, recipe: recipe_lib.Recipe, calibration: np.ndarray) -> bytes:
        """The policy as a flatbuffer."""
        snapshot = records.PolicySnapshot(1, 1, self.variables)
        with native_output.captured():
            return one_off.convert(self.architecture, recipe, snapshot, calibration, self.reference)

    def outputs(self, observations: np.ndarray) -> np.ndarray:
        """What the network in numpy gives."""
        return numpy_policy.forward(self.architecture, self.variables, observations)["output"]

    def release(self) -> None:
        """Ends TFLiteConverter's process."""
        self.reference.close()


def read_weights(path: pathlib.Path, architecture: architecture_lib.PolicyArchitecture) -> Weights:
    """Weights from an .npz with the names of `PolicyArchitecture.variable_shapes`; without observation scaling it is the identity.

    Raises:
      ConfigError: no .npz, or a variable that is missing, unknown, of another shape or not finite.
    """
    identity = {
        name: np.full(shape, 1 if name.endswith("/scale") else 0, np.float32)
        for name, shape in architecture.variable_shapes().items()
        if name.startswith("observation_scaling/")
    }

    def check(shapes: Mapping[str, tuple[int, ...]]) -> None:
        views = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}  # take no memory
        try:
            architecture.check_variables({**identity, **views}, str(path))
        except ValueError as error:
            raise errors.ConfigError(str(error)) from error

    variables = {**identity, **array_file.read(path, lambda names: names, check)}
    for name, value in variables.items():
        if not np.all(np.isfinite(value)):
            raise errors.ConfigError(
                f"{path}: variable '{name}' has {np.sum(~np.isfinite(value))} values that are not finite"
            )
    return Weights(architecture, variables)


def make_spec(
    source: FloatSource, head: str, name: str, action_low: tuple[float, ...], action_high: tuple[float, ...]
) -> environment_spec.EnvironmentSpec:
    """The boundary of a policy that has no environment here.

    Args:
      source: the policy.
      head: 'q_values' or 'action'.
      name: to call it.
      action_low: lower bounds of the actions, one or as many as there are; for head 'action'.
      action_high: upper bounds.

    Raises:
      ConfigError: bounds that are no bounds.
    """
    size, output_size = source.sizes
    fields = (environment_spec.ObservationField("observation", (size,), 0),)
    if head == "q_values":
        return environment_spec.EnvironmentSpec(name, fields, num_actions=output_size)
    low, high = (bound * output_size if len(bound) == 1 else bound for bound in (action_low, action_high))
    if len(low) != output_size or len(high) != output_size:
        raise errors.ConfigError(
            f"{len(low)} and {len(high)} action bounds for {output_size} actions; give one or {output_size} of each"
        )
    try:
        return environment_spec.EnvironmentSpec(name, fields, action_low=low, action_high=high)
    except ValueError as error:
        raise errors.ConfigError(str(error)) from error


def make_reference(source: FloatSource, observations: np.ndarray) -> bytes:
    """The float32 flatbuffer of the source, checked to compute what the source computes.

    Raises:
      ConversionError: it can't be made, or computes something else.
    """
    model = source.convert(recipe_lib.float32(), observations)
    with native_output.captured():
        got = model_runner.ModelRunner(model).run(observations)
    expected = source.outputs(observations)
    error = float(np.abs(expected - got).max())
    if not error <= TOLERANCE_SHARE * max(1.0, float(np.abs(expected).max())):
        raise errors.ConversionError(
            f"the float32 model's outputs are up to {error:.3g} off those of the {source.kind}"
        )
    return model


def make_candidate(
    source: FloatSource,
    spec: environment_spec.EnvironmentSpec,
    head: str,
    recipe: recipe_lib.Recipe,
    observations: acting.Observations,
    facts: Mapping[str, Any],
) -> candidate_lib.PolicyCandidate:
    """The policy under every recipe: those that always are, and `recipe`.

    Raises:
      ConfigError: observations that can't be used.
      ConversionError: `recipe` can't be made; with the operator and the remedy.
    """
    size = spec.observation_size
    candidate_lib.check_observations(observations.calibration, size, "calibration observations")
    candidate_lib.check_observations(observations.held_out, size, "held-out observations")
    try:
        ready = {candidate_lib.REFERENCE: make_reference(source, observations.held_out)}
        models, missing = candidate_lib.convert_all(
            recipe.name, ready, lambda other: source.convert(other, observations.calibration)
        )
    finally:
        source.release()
    facts = {"source": source.kind, **facts}
    made = candidate_lib.PolicyCandidate(spec.name, spec, head, recipe, models, missing, observations.held_out, facts)
    is_foreign = source.architecture is None and recipe.is_static and recipe.activation_type == "int8"
    remedy = coarse_feature_remedy(observations.calibration, source.kind) if is_foreign else ""
    return dataclasses.replace(made, remedy=remedy) if remedy else made


def coarse_feature_remedy(observations: np.ndarray, kind: str) -> str:
    """The feature whose range has less than a twentieth of the int8 input's steps, and what to use; '' where all have more.

    TFLiteConverter gives the observation of a foreign policy, which its first layers may scale, one step for all features.

    Args:
      observations: of calibration, float32 [N, D].
      kind: what the policy was read as, for people.
    """
    ranges = np.ptp(observations, axis=0)
    if not ranges.any():
        return ""
    shares = ranges / (max(float(observations.max()), 0) - min(float(observations.min()), 0))
    coarse = [feature for feature in np.argsort(shares) if 0 < shares[feature] < _LEAST_RANGE_SHARE]
    if not coarse:
        return ""
    return (
        f"a {kind}'s int8 observation has one step for all features, {255 * shares[coarse[0]]:.2g} of which are all of feature "
        f"{coarse[0]}'s range; use --recipe=static_wi8_ai16, weights (.npz) with observation_scaling,"
    )
