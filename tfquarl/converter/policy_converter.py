"""Snapshots to flatbuffers by one recipe: a template of the reference path, rewritten for each snapshot."""

from collections.abc import Mapping
import contextlib
import math

from absl import logging
import numpy as np

from tfquarl.converter import low_bit_template
from tfquarl.converter import reference_frames
from tfquarl.converter import reference_process
from tfquarl.converter import scaling_ops
from tfquarl.converter import template as template_lib
from tfquarl.converter import template_store
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import recipe_audit


class PolicyConverter:
    """Turns snapshots of one architecture into policies of one recipe.

    TFLiteConverter compiles one policy of the architecture, in a process of its own. Each snapshot's constants are then written
    into a copy of that file: byte for byte what TFLiteConverter gives for the same snapshot and observations. What can't be done
    like this goes to TFLiteConverter, and a warning says so once.

    Low-bit recipes take the structure of their file from TFLiteConverter, and all numbers in it from `low_bit_template`.
    """

    def __init__(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        recipe: recipe_lib.Recipe,
        scale_observations: bool = True,
        reference: reference_process.ReferenceProcess | None = None,
        store: template_store.TemplateStore | None = None,
    ) -> None:
        """Stores the arguments.

        Args:
          architecture: of the policy.
          recipe: in force.
          scale_observations: whether snapshots may have an observation scaling other than the identity.
          reference: TFLiteConverter's process, shared with other converters; None for one of its own.
          store: of templates that earlier runs compiled; None compiles one.
        """
        self._architecture = architecture
        self._recipe = recipe
        self._scale_observations = scale_observations
        self._reference = reference or reference_process.ReferenceProcess()
        self._store = store
        self._is_prepared = False
        self._template: template_lib.Template | None = None
        self._low_bit_template: low_bit_template.LowBitTemplate | None = None
        self._has_warned = False

    @property
    def architecture(self) -> architecture_lib.PolicyArchitecture:
        """Of the policy."""
        return self._architecture

    @property
    def recipe(self) -> recipe_lib.Recipe:
        """The recipe in force."""
        return self._recipe

    def prepare(self) -> None:
        """Compiles the template, which takes 3 to 8 s, or finds it in the store; `convert` does it otherwise when it is first called.

        Raises:
          ConversionError: TFLiteConverter refuses the architecture, or the recipe can't have it.
        """
        if self._is_prepared:
            return
        if self._architecture.is_categorical and not self._recipe.suits_categorical:
            raise errors.ConversionError(
                f"recipe '{self._recipe.name}' with {self._recipe.io} input and output: a categorical policy ends with a softmax in"
                " float32; use a recipe of 8 or 16 bits with float32 input and output, or train with num_atoms = 1"
            )
        if self._recipe.widths is not None:
            structure, _ = self._find_or_compile(recipe_lib.static_wi8_ai8())
            self._low_bit_template = low_bit_template.LowBitTemplate(structure, self._architecture, self._recipe.widths)
        elif self._recipe.io == "int8" and scaling_ops.has_action_scaling(self._architecture):
            self._warn("integer outputs with action bounds other than [-1, 1]")
        else:
            model, inputs = self._find_or_compile(self._recipe)
            template = template_lib.Template(model, self._architecture, self._recipe)
            # The files agree on every machine that we know; where kernels round differently, this one tells.
            if template.write(*inputs) == model:
                self._template = template
            else:
                self._warn("TensorFlow's kernels round in another way on this machine")
        self._is_prepared = True

    def check_snapshot(self, snapshot: records.PolicySnapshot) -> None:
        """Checks a snapshot's variables as `convert` does.

        Raises:
          ConversionError: variables that are not the architecture's.
          NumericalError: one with a NaN or an infinity, by name and place.
        """
        self._check_variables(f"snapshot {snapshot.version}", snapshot.variables)

    def release(self) -> None:
        """Ends TFLiteConverter's process at once and gives its memory back; it is started again where the template can't do something."""
        self._reference.close()

    def convert(self, snapshot: records.PolicySnapshot, observations: np.ndarray | None = None) -> bytes:
        """The snapshot's policy as a flatbuffer.

        Args:
          snapshot: of the architecture's variables, for a low-bit recipe maybe with ranges.
          observations: for calibration, float32 [N, D] as the environment gives them; None where the recipe or the snapshot needs
            none: one with ranges is not calibrated.

        Raises:
          ConversionError: variables that are not the architecture's, no observations where the recipe needs some, or a file
            that isn't what the recipe says.
          NumericalError: a variable, or the observations, with a NaN or an infinity.
          RefusedModelError: the recipe's types can't hold the policy, as a layer is dead or its scales are far apart. Such a file may
            also be given and be refused by the runtime.
        """
        source = f"snapshot {snapshot.version}"
        self.check_snapshot(snapshot)
        is_calibrated = self._recipe.needs_calibration and not snapshot.ranges
        observations = self._check_observations(source, observations) if is_calibrated else None
        self.prepare()
        if self._low_bit_template is not None:
            return self._write_low_bit(self._low_bit_template, source, snapshot, observations)
        if self._template is not None:
            try:
                return self._template.write(snapshot.variables, observations)
            except OverflowError as error:
                self._warn(str(error))
            except errors.NumericalError as error:
                raise errors.NumericalError(f"{source}: {error}") from error
        return self._convert_by_reference(snapshot.variables, observations, self._recipe)

    def _find_or_compile(
        self, recipe: recipe_lib.Recipe
    ) -> tuple[bytes, tuple[dict[str, np.ndarray], np.ndarray | None]]:
        """A template's flatbuffer, by `recipe`, and the variables and observations that it was compiled from."""
        key = (self._architecture, recipe, self._scale_observations)
        inputs = template_lib.template_inputs(*key)
        kept = None if self._store is None else self._store.find(*key)
        if kept is not None:
            with contextlib.suppress(errors.ArtifactError, errors.ConversionError):
                recipe_audit.check_model(kept, recipe)
                return kept, inputs
        model = self._convert_by_reference(*inputs, recipe)
        if self._store is not None:
            self._store.keep(*key, model)
        return model, inputs

    def _write_low_bit(
        self,
        template: low_bit_template.LowBitTemplate,
        source: str,
        snapshot: records.PolicySnapshot,
        observations: np.ndarray | None,
    ) -> bytes:
        try:
            return template.write(snapshot.variables, observations, snapshot.ranges)
        except errors.NumericalError as error:
            raise errors.NumericalError(f"{source}: {error}") from error

    def _convert_by_reference(
        self,
        variables: Mapping[str, np.ndarray],
        observations: np.ndarray | None,
        recipe: recipe_lib.Recipe,
    ) -> bytes:
        request = reference_frames.ConversionRequest(
            self._architecture, recipe, variables, observations, self._scale_observations
        )
        model = self._reference.convert(request)
        try:
            recipe_audit.check_model(model, recipe)
        except errors.RefusedModelError as error:
            raise errors.RefusedModelError(f"recipe '{recipe.name}': {error}") from error
        except errors.ArtifactError as error:
            raise errors.ConversionError(f"recipe '{recipe.name}': {error}") from error
        return model

    def _warn(self, reason: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            logging.warning("Recipe '%s': %s; such snapshots take TFLiteConverter's time", self._recipe.name, reason)

    def _check_variables(self, source: str, variables: Mapping[str, np.ndarray]) -> None:
        try:
            self._architecture.check_variables(variables, source)
        except ValueError as error:
            raise errors.ConversionError(str(error)) from error
        for name, value in variables.items():
            # The sum of squares is the fastest look at all values; it overflows long before they do.
            if not math.isfinite(np.dot(value.ravel(), value.ravel())) and not np.isfinite(value).all():
                bad = np.argwhere(~np.isfinite(value))
                place = ", ".join(map(str, bad[0]))
                raise errors.NumericalError(
                    f"{source}: variable '{name}'[{place}] is {value[tuple(bad[0])]}; {len(bad)} of {value.size} values are not finite"
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
