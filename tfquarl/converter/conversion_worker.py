"""The conversion station: newest snapshot in, checked artifact out."""

from collections.abc import Mapping
import dataclasses
import time
from typing import Any
from typing import Protocol

from absl import logging
import numpy as np

from tfquarl.converter import manifest as manifest_lib
from tfquarl.converter import parity_gate
from tfquarl.converter import policy_converter
from tfquarl.converter import preparation
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.metrics import names
from tfquarl.networks import low_bit_policy
from tfquarl.networks import q_centering
from tfquarl.quantization import calibration_set
from tfquarl.quantization import recipe as recipe_lib


class EvaluationSink(Protocol):
    """Where the evaluator finds the quantized policy beside its float original."""

    def publish_pair(self, quantized: records.PolicyArtifact, reference: records.PolicyArtifact) -> None:
        """Makes both, of one version, the newest ones."""
        ...


@dataclasses.dataclass(frozen=True)
class ConverterConfig:
    """How the station works.

    Attributes:
      recipe: name of the quantization recipe.
      center_q_values: whether q_values are given relative to their mean over the actions (`networks.q_centering`): the same greedy
        policy with finer steps. Without it the model gives the learner's own q_values.
      scale_observations: whether each observation feature is measured by its own spread and range over the calibration observations
        (`networks.observation_scaling`): the same policy, whose int8 input then has steps that fit each feature. For recipes
        with int8 weights; docs/results/observation_scaling.md has the figures.
      equalize_layers: whether each hidden relu unit is measured by a scale of its own (`networks.layer_equalization`): the same policy,
        whose weights and activations lose less when they are rounded. For recipes with int8 weights;
        docs/results/layer_equalization.md has the figures.
      correct_biases: whether biases of the rounded model take back what the rounding of weights adds to a layer's sums on average
        (`networks.bias_correction`). For recipes with int8 weights; docs/results/rounding_preparations.md has the figures.
      num_calibration_observations: observations that ranges are calibrated on, and as many others, the newest, for parity.
      num_recent_observations: newest observations that the calibrating ones are chosen of (`quantization.calibration_set`), and that
        all of these preparations go by.
      poll_interval_sec: time between two looks for a newer snapshot.
      keep_templates: whether compiled templates are kept for later runs of the same architecture and recipe (`template_store`), which then
        have their first policy some seconds sooner; in '~/.cache/tfquarl/templates', or under $XDG_CACHE_HOME.
      stop_at_bad_numbers: whether a snapshot with a NaN or an infinity ends the run. Otherwise it is left out, and the last good policy
        stays in use.
    """

    recipe: str = "static_wi8_ai8"
    center_q_values: bool = True
    scale_observations: bool = True
    equalize_layers: bool = True
    correct_biases: bool = True
    num_calibration_observations: int = 256
    num_recent_observations: int = 1024
    poll_interval_sec: float = 0.02
    keep_templates: bool = True
    stop_at_bad_numbers: bool = False

    def __post_init__(self) -> None:
        recipe_lib.from_name(self.recipe)
        if self.num_calibration_observations < 1:
            raise ValueError(f"num_calibration_observations is {self.num_calibration_observations}, needs 1 or more")
        if self.num_recent_observations < self.num_calibration_observations:
            raise ValueError(
                f"num_recent_observations is {self.num_recent_observations}, needs num_calibration_observations,"
                f" {self.num_calibration_observations}, or more"
            )

    @property
    def preparations(self) -> tuple[str, ...]:
        """What is done to a snapshot's variables before they are rounded, by the names of these switches: nothing where nothing is."""
        steps = preparation.steps_for(recipe_lib.from_name(self.recipe))
        return tuple(name for name in steps if getattr(self, name))


class ConversionWorker:
    """Converts the newest snapshot, compares it with the float policy and publishes it; nothing is converted twice."""

    def __init__(
        self,
        snapshots: interfaces.SnapshotSource,
        observations: interfaces.ObservationSource,
        converter: policy_converter.PolicyConverter,
        float_converter: policy_converter.PolicyConverter,
        gate: parity_gate.ParityGate,
        policies: interfaces.ArtifactSink,
        evaluation_policies: EvaluationSink,
        metrics: interfaces.MetricsSink,
        spec: environment_spec.EnvironmentSpec,
        config: ConverterConfig,
    ) -> None:
        """Stores the arguments.

        Args:
          snapshots: where snapshots come from.
          observations: for calibration and parity.
          converter: by the recipe in force.
          float_converter: by recipe 'float32', for the evaluator's comparison and where parity fails.
          gate: judges converted policies.
          policies: where collectors find the artifact.
          evaluation_policies: where the evaluator finds both artifacts.
          metrics: where the figures go, as group 'convert' at the snapshot's train step.
          spec: of the environment, for the manifest.
          config: of the station.
        """
        self._snapshots, self._observations = snapshots, observations
        self._converter, self._float_converter = converter, float_converter
        self._gate = gate
        self._policies, self._evaluation_policies = policies, evaluation_policies
        self._metrics = metrics
        self._spec, self._config = spec, config
        self._num_refused = 0
        self._num_failed_parity = 0

    def run(self, stop: interfaces.StopSignal) -> None:
        """Converts until `stop` is set."""
        for converter in (self._converter, self._float_converter):
            converter.prepare()
        for converter in (self._converter, self._float_converter):  # they may share what is released
            converter.release()
        while not stop.is_set():
            if not self.step():
                stop.wait(self._config.poll_interval_sec)

    def step(self) -> bool:
        """Converts the newest snapshot if it is newer than the last one; whether there was one that verifies. Does not wait for it.

        Raises:
          ConversionError: the snapshot isn't the architecture's, or the file isn't what the recipe says.
          ParityError: the converted policy differs too much and the gate's config says 'stop'.
          NumericalError: a NaN or an infinity in it, and the config says to stop there.
        """
        try:
            snapshot = self._snapshots.poll()
        except errors.ArtifactError as error:
            self._num_refused += 1
            logging.error("A published snapshot was refused, the last good policy stays: %s", error)
            return False
        if snapshot is None:
            return False
        if snapshot.created_sec is None:
            snapshot = dataclasses.replace(snapshot, created_sec=time.monotonic())
        try:
            self._converter.check_snapshot(snapshot)
            self._convert(self._centered(snapshot))
        except errors.NumericalError as error:
            if self._config.stop_at_bad_numbers:
                raise
            self._num_refused += 1
            logging.error("Not converted, the last good policy stays: %s", error)
            self._metrics.write(
                names.CONVERT, snapshot.train_step, {names.NUM_REFUSED_SNAPSHOTS: float(self._num_refused)}
            )
        return True

    def _convert(self, snapshot: records.PolicySnapshot) -> None:
        recent = self._observations.calibration()
        calibration = calibration_set.choose(recent, self._config.num_calibration_observations)
        quantized = self._quantize(snapshot, recent, calibration)
        decision = self._decide(snapshot.version, quantized.report)
        reference = self._reference(quantized.prepared) if decision == "publish_float32" else None
        deployed = reference or (quantized.artifact if decision == "publish" else None)
        if deployed is not None:
            self._policies.publish(deployed)
        values = {
            names.POLICY_VERSION: float(snapshot.version),
            names.CONVERSION_SEC: quantized.conversion_sec,
            names.PARITY_CHECK_SEC: quantized.check_sec,
            names.SNAPSHOT_TO_PUBLISHED_SEC: time.monotonic() - (snapshot.created_sec or 0.0),
            names.MODEL_BYTES: float(quantized.num_bytes),
            names.CALIBRATION_OBSERVATIONS: float(len(calibration)),
            names.IS_PUBLISHED: float(deployed is not None),
            names.NUM_REFUSED_SNAPSHOTS: float(self._num_refused),
            names.IS_PARITY_PASSED: float(quantized.report.passed),
            names.NUM_PARITY_FAILURES: float(self._num_failed_parity),
        }
        values.update({f"{names.PARITY_PREFIX}{name}": value for name, value in quantized.report.figures.items()})
        if deployed is not None:  # only now, when collectors have what they wait for
            reference = reference or self._reference(quantized.prepared)
            judged = quantized.artifact if quantized.report.runs else None
            self._evaluation_policies.publish_pair(judged or reference, reference)
        self._metrics.write(names.CONVERT, snapshot.train_step, values)

    def _centered(self, snapshot: records.PolicySnapshot) -> records.PolicySnapshot:
        if not self._config.center_q_values:
            return snapshot
        variables = q_centering.center(self._converter.architecture, snapshot.variables)
        return dataclasses.replace(snapshot, variables=variables)

    def _quantize(self, snapshot: records.PolicySnapshot, recent: np.ndarray, calibration: np.ndarray) -> "_Quantized":
        held_out = self._observations.held_out()[-self._config.num_calibration_observations :]
        converting = time.perf_counter()
        prepared = preparation.prepare(self._converter.architecture, snapshot, recent, self._config.preparations)
        try:
            model = self._converter.convert(prepared.rounded, calibration)
        except errors.RefusedModelError as error:
            report = parity_gate.refused(error, len(held_out))
            return _Quantized(prepared, None, report, time.perf_counter() - converting, 0.0)
        checking = time.perf_counter()
        policy = prepared.policy
        expected = self._trained_output(policy, held_out)
        report = self._gate.check(self._converter.architecture, policy.variables, model, held_out, expected)
        check_sec = time.perf_counter() - checking
        # A policy that was trained quantized brings its own ranges.
        is_calibrated = self._converter.recipe.needs_calibration and not policy.ranges
        names_of_steps = (*prepared.preparations, *prepared.corrections)
        manifest = manifest_lib.make_manifest(
            self._spec, self._converter, names_of_steps, model, report, calibration if is_calibrated else None
        )
        artifact = _artifact(policy, self._converter, model, manifest)
        return _Quantized(prepared, artifact, report, checking - converting, check_sec)

    def _trained_output(self, snapshot: records.PolicySnapshot, observations: np.ndarray) -> np.ndarray | None:
        """What the learner's own network gives where it computes with quantized values; None where it computes in float."""
        widths = self._converter.recipe.widths
        if widths is None or not snapshot.ranges:
            return None
        architecture = self._converter.architecture
        return low_bit_policy.forward(architecture, snapshot.variables, snapshot.ranges, widths, observations)

    def _decide(self, version: int, report: parity_gate.ParityReport) -> str:
        """What follows from a verdict: 'publish', or what the gate's config says of failures; raises where that is 'stop'."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in report.figures.items())
        if report.passed:
            logging.info("Policy %d passes parity: %s", version, figures)
            return "publish"
        self._num_failed_parity += 1
        action = self._gate.config.on_failure
        message = f"policy {version} fails parity: {'; '.join(report.failures)}{f' ({figures})' if figures else ''}"
        if action == "stop":
            raise errors.ParityError(
                f"{message}; loosen the thresholds or choose a finer recipe than {self._converter.recipe.name}"
            )
        logging.warning("%s; on_failure is '%s'", message, action)
        return action

    def _reference(self, prepared: preparation.Prepared) -> records.PolicyArtifact:
        """The float policy of a prepared snapshot."""
        model = self._float_converter.convert(prepared.policy)
        manifest = manifest_lib.make_manifest(
            self._spec, self._float_converter, prepared.preparations, model, None, None
        )
        return _artifact(prepared.policy, self._float_converter, model, manifest)


@dataclasses.dataclass(frozen=True)
class _Quantized:
    """What became of a snapshot.

    Attributes:
      prepared: what it was made of.
      artifact: of the recipe; None where its types can't hold the policy.
      report: the verdict on it.
      conversion_sec: time that the preparation and the conversion took.
      check_sec: time that the verdict took.
    """

    prepared: preparation.Prepared
    artifact: records.PolicyArtifact | None
    report: parity_gate.ParityReport
    conversion_sec: float
    check_sec: float

    @property
    def num_bytes(self) -> int:
        """Of the model; 0 where there is none."""
        return 0 if self.artifact is None else len(self.artifact.model)


def _artifact(
    snapshot: records.PolicySnapshot,
    converter: policy_converter.PolicyConverter,
    model: bytes,
    manifest: Mapping[str, Any],
) -> records.PolicyArtifact:
    return records.PolicyArtifact(
        snapshot.version, snapshot.train_step, converter.recipe.name, model, manifest, snapshot.created_sec
    )
