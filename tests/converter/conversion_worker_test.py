"""Tests of converter.conversion_worker: the station with real conversions between fakes of its neighbours."""

from collections.abc import Iterator
import dataclasses
import hashlib
import json
import threading
import time

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import conversion_worker
from tfquarl.converter import manifest as manifest_lib
from tfquarl.converter import parity_gate
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.metrics import names
from tfquarl.networks import low_bit_policy
from tfquarl.networks import numpy_policy
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import interpreter
from tfquarl.testing import memory_metrics

_SPEC = environment_spec.EnvironmentSpec(
    "lab:arm",
    (environment_spec.ObservationField("observation", (5,), 0),),
    action_low=(-1.0, -1.0, -1.0),
    action_high=(1.0, 1.0, 1.0),
)
_ARCHITECTURE = policies.architecture()
_NEVER_PASSES = parity_gate.ParityConfig(mean_action_error_share=-1.0)


class _Source:
    """Gives prepared snapshots, or raises prepared errors, then gives none."""

    def __init__(self, snapshots: list[records.PolicySnapshot | errors.ArtifactError]) -> None:
        self.snapshots = list(snapshots)

    def poll(self) -> records.PolicySnapshot | None:
        item = self.snapshots.pop(0) if self.snapshots else None
        if isinstance(item, errors.ArtifactError):
            raise item
        return item


class _Observations:
    """Gives always the same observations."""

    def __init__(self, first_unit: float = 1.0) -> None:
        self._units = np.float32([first_unit, 1, 1, 1, 1])

    def calibration(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal((32, 5), np.float32) * self._units

    def held_out(self) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((16, 5), np.float32) * self._units


class _Sink:
    """Remembers what is published, and stops a station after the first."""

    def __init__(self) -> None:
        self.published: list[records.PolicyArtifact] = []
        self.pairs: list[tuple[records.PolicyArtifact, records.PolicyArtifact]] = []
        self.stop = threading.Event()

    def publish(self, artifact: records.PolicyArtifact) -> None:
        self.published.append(artifact)

    def publish_pair(self, quantized: records.PolicyArtifact, reference: records.PolicyArtifact) -> None:
        self.pairs.append((quantized, reference))
        self.stop.set()


@dataclasses.dataclass
class _Station:
    worker: conversion_worker.ConversionWorker
    sink: _Sink
    metrics: memory_metrics.MemoryMetrics


@pytest.fixture(scope="module")
def reference() -> Iterator[reference_process.ReferenceProcess]:
    process = reference_process.ReferenceProcess()
    yield process
    process.close()


def _snapshot(version: int) -> records.PolicySnapshot:
    return records.PolicySnapshot(
        version, 10 * version, policies.variables(_ARCHITECTURE, np.random.default_rng(version))
    )


def _station(
    reference: reference_process.ReferenceProcess,
    snapshots: list[records.PolicySnapshot | errors.ArtifactError],
    parity: parity_gate.ParityConfig | None = None,
    observations: _Observations | None = None,
    config: conversion_worker.ConverterConfig | None = None,
    **changes: bool,
) -> _Station:
    sink, metrics = _Sink(), memory_metrics.MemoryMetrics()
    config = config or conversion_worker.ConverterConfig(**changes)
    worker = conversion_worker.ConversionWorker(
        _Source(snapshots),
        observations or _Observations(),
        policy_converter.PolicyConverter(_ARCHITECTURE, recipe_lib.from_name(config.recipe), True, reference),
        policy_converter.PolicyConverter(_ARCHITECTURE, recipe_lib.float32(), True, reference),
        parity_gate.ParityGate(parity or parity_gate.ParityConfig()),
        sink,
        sink,
        metrics,
        _SPEC,
        config,
    )
    return _Station(worker, sink, metrics)


def test_snapshot_becomes_an_artifact_with_its_manifest(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_snapshot(3)])
    assert station.worker.step()
    (artifact,) = station.sink.published
    assert (artifact.version, artifact.train_step, artifact.recipe) == (3, 30, "static_wi8_ai8")
    manifest = json.loads(json.dumps(artifact.manifest))
    assert environment_spec.EnvironmentSpec.from_json(manifest["environment"]) == _SPEC
    assert type(_ARCHITECTURE).from_json(manifest["architecture"]) == _ARCHITECTURE
    calibration = _Observations().calibration().tobytes()
    assert manifest["calibration"] == {"num_observations": 32, "sha256": hashlib.sha256(calibration).hexdigest()}
    assert manifest["parity"]["passed"] is True
    assert manifest["io"] == "float32"
    assert {"python", "tensorflow", "ai-edge-litert", "numpy"} <= set(manifest["versions"])
    interpreter.PolicyInterpreter(artifact.model)(_Observations().held_out()[:1])


def test_nothing_new_is_nothing_to_do(reference: reference_process.ReferenceProcess):
    station = _station(reference, [])
    assert not station.worker.step()
    assert (station.sink.published, station.metrics.rows) == ([], [])


def test_evaluator_gets_both_policies_of_one_version(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_snapshot(1)])
    station.worker.step()
    ((quantized, original),) = station.sink.pairs
    assert (quantized.recipe, original.recipe) == ("static_wi8_ai8", "float32")
    assert quantized.version == original.version == 1


def test_figures_are_metrics(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_snapshot(1)])
    station.worker.step()
    ((group, step, values),) = station.metrics.rows
    assert (group, step) == ("convert", 10)
    assert values["Parity/is_passed"] == values["Policy/is_published"] == 1.0
    assert values["Policy/model_bytes"] == len(station.sink.published[0].model)
    assert "Parity/action_error_max_share" in values
    assert all(value > 0 for name, value in values.items() if name.lower().endswith("sec"))


def test_time_of_the_snapshot_goes_on_to_the_collectors(reference: reference_process.ReferenceProcess):
    created_sec = time.monotonic() - 50.0
    station = _station(reference, [dataclasses.replace(_snapshot(1), created_sec=created_sec), _snapshot(2)])
    station.worker.step()
    station.worker.step()
    assert station.sink.published[0].created_sec == created_sec
    known, unknown = station.metrics.series("convert", names.SNAPSHOT_TO_PUBLISHED_SEC)
    assert known > 50 > unknown > 0  # what is not known counts from when it was seen


def _shares_without_and_with(
    preparation: str,
    reference: reference_process.ReferenceProcess,
    variables: dict[str, np.ndarray],
    observations: _Observations,
    **others: bool,
) -> list[float]:
    """Mean errors of the quantized policy; the float one stays the same function by any preparation, and the manifest tells of it."""
    expected = numpy_policy.forward(_ARCHITECTURE, variables, observations.held_out())["output"]
    gate = parity_gate.ParityConfig(max_action_error_share=1.0, mean_action_error_share=1.0)
    shares = []
    for is_done in (False, True):
        snapshot = records.PolicySnapshot(1, 10, variables)
        station = _station(reference, [snapshot], gate, observations, **others, **{preparation: is_done})
        station.worker.step()
        shares += station.metrics.series("convert", "Parity/action_error_mean_share")
        ((quantized, original),) = station.sink.pairs
        assert (preparation in quantized.manifest["preparations"]) is is_done
        float_preparations = [name for name in quantized.manifest["preparations"] if name != "correct_biases"]
        assert original.manifest["preparations"] == float_preparations
        got = interpreter.PolicyInterpreter(original.model, 16)(observations.held_out())
        np.testing.assert_allclose(got, expected, atol=1e-3)
    return shares


def test_badly_scaled_feature_costs_little_where_features_are_scaled(reference: reference_process.ReferenceProcess):
    variables = policies.variables(_ARCHITECTURE, np.random.default_rng(1), scales_observations=False)
    variables["dense_0/kernel"][0] /= 1000
    observations = _Observations(first_unit=1000.0)
    without, with_it = _shares_without_and_with("scale_observations", reference, variables, observations)
    assert with_it < without / 2


def test_units_of_different_sizes_cost_little_where_layers_are_equalized(reference: reference_process.ReferenceProcess):
    variables = policies.variables(_ARCHITECTURE, np.random.default_rng(1), scales_observations=False)
    sizes = np.geomspace(0.02, 50, 16, dtype=np.float32)
    variables["dense_0/kernel"] *= sizes
    variables["dense_0/bias"] *= sizes
    variables["dense_1/kernel"] /= sizes[:, np.newaxis]
    without, with_it = _shares_without_and_with("equalize_layers", reference, variables, _Observations())
    assert with_it < without / 2


def test_weights_that_all_round_to_one_side_cost_little_where_biases_are_corrected(
    reference: reference_process.ReferenceProcess,
):
    variables = policies.variables(_ARCHITECTURE, np.random.default_rng(1), scales_observations=False)
    for name in ("dense_1/kernel", "head/kernel"):
        kernel = variables[name]
        step = np.abs(kernel).max() / 127
        variables[name] = np.where(np.abs(kernel) < 126 * step, (np.floor(kernel / step) + 0.4) * step, kernel)
    gain = _shares_without_and_with("correct_biases", reference, variables, _Observations(), equalize_layers=False)
    assert gain[1] < gain[0] / 2


class _OldOnes(_Observations):
    """Rows 3 and 5 lie far out, and the older half of those for parity would fail any policy."""

    def calibration(self) -> np.ndarray:
        observations = super().calibration()
        observations[[3, 5]] *= 10
        return observations

    def held_out(self) -> np.ndarray:
        observations = super().held_out()
        observations[:8] = np.nan
        return observations


def test_calibrates_on_some_of_the_recent_observations_and_judges_on_the_newest(
    reference: reference_process.ReferenceProcess,
):
    loose = parity_gate.ParityConfig(max_action_error_share=1.0, mean_action_error_share=1.0)
    config = conversion_worker.ConverterConfig(num_calibration_observations=8)
    station = _station(reference, [_snapshot(1)], loose, _OldOnes(), config)
    station.worker.step()
    manifest = station.sink.published[0].manifest
    # A quarter of eight is chosen for its distance, and the newest six of 32.
    chosen = _OldOnes().calibration()[[3, 5, *range(26, 32)]]
    assert manifest["calibration"] == {"num_observations": 8, "sha256": hashlib.sha256(chosen.tobytes()).hexdigest()}
    assert manifest["parity"]["num_observations"] == 8


class _Overflowing(_Observations):
    """Those for parity make any policy's outputs overflow."""

    def held_out(self) -> np.ndarray:
        return np.full((16, 5), 3e38, np.float32)


def test_policies_are_judged_on_other_observations_than_they_are_calibrated_on(
    reference: reference_process.ReferenceProcess,
):
    station = _station(reference, [_snapshot(1)], observations=_Overflowing(), stop_at_bad_numbers=True)
    with pytest.raises(errors.NumericalError, match="own outputs are not finite"):
        station.worker.step()


def test_fewer_recent_observations_than_calibrating_ones_are_refused():
    with pytest.raises(
        ValueError, match="num_recent_observations is 7, needs num_calibration_observations, 8, or more"
    ):
        conversion_worker.ConverterConfig(num_calibration_observations=8, num_recent_observations=7)


@pytest.mark.parametrize(
    ("recipe", "io", "low_bit"),
    [
        (recipe_lib.static_wi8_ai8(), "float32", None),
        (recipe_lib.static_wi8_ai8(io="int8"), "int8", None),
        (
            recipe_lib.from_name("qat_wi4_ai4"),
            "float32",
            {
                "weights": 4,
                "activations": 4,
                "inputs": 8,
                "outputs": 8,
                "per_channel": False,
                "num_weights": 5 * 16 + 16 * 16 + 16 * 3,
                "weight_bits": 4,
                "packed_bytes": 384 // 2 + 4 * (16 + 16 + 3),
                "stored_bytes": 384 + 4 * (16 + 16 + 3),
            },
        ),
    ],
    ids=["int8", "integers in and out", "low-bit"],
)
def test_manifest_tells_the_types_of_input_and_output_and_true_widths(
    reference: reference_process.ReferenceProcess, recipe: recipe_lib.Recipe, io: str, low_bit: object
):
    converter = policy_converter.PolicyConverter(_ARCHITECTURE, recipe, True, reference)
    made = manifest_lib.make_manifest(_SPEC, converter, (), b"", None, None)
    assert (made["io"], made.get("low_bit")) == (io, low_bit)


def test_policy_that_was_trained_quantized_is_compared_with_its_own_outputs(
    reference: reference_process.ReferenceProcess,
):
    snapshot, observations = _snapshot(1), _Observations()
    ranges = low_bit_policy.observed_ranges(_ARCHITECTURE, snapshot.variables, observations.calibration())
    config = conversion_worker.ConverterConfig(recipe="qat_wi2_ai2")
    station = _station(reference, [dataclasses.replace(snapshot, ranges=ranges)], config=config)
    station.worker.step()
    # The float policy's are off by far more than 2 bits can tell.
    assert station.metrics.series("convert", "Parity/action_error_max_share") == [pytest.approx(0, abs=1e-3)]
    assert station.sink.published[0].manifest["calibration"] is None


@pytest.mark.parametrize(
    ("recipe", "is_wanted", "is_done"),
    [
        ("static_wi8_ai8", True, True),
        ("static_wi8_ai8", False, False),
        ("float32", True, False),
        ("float16", True, False),
        ("qat_wi8_ai8", True, False),
        ("ptq_wi4_ai8", True, False),
    ],
)
def test_preparations_are_for_recipes_that_gain_by_them(recipe: str, is_wanted: bool, is_done: bool):
    preparations = ("scale_observations", "equalize_layers", "correct_biases")
    config = conversion_worker.ConverterConfig(recipe=recipe, **dict.fromkeys(preparations, is_wanted))
    assert config.preparations == (preparations if is_done else ())


def test_each_preparation_can_be_left_out():
    config = conversion_worker.ConverterConfig(equalize_layers=False)
    assert config.preparations == ("scale_observations", "correct_biases")


def test_snapshot_that_is_not_finite_is_counted_and_the_last_policy_stays(
    reference: reference_process.ReferenceProcess,
):
    bad = _snapshot(2)
    bad.variables["head/bias"][1] = np.nan
    station = _station(reference, [_snapshot(1), bad, _snapshot(3)])
    for _ in range(3):
        assert station.worker.step()
    assert [artifact.version for artifact in station.sink.published] == [1, 3]
    assert station.metrics.series("convert", "Policy/num_refused_snapshots") == [0.0, 1.0, 1.0]


def test_snapshot_that_does_not_verify_is_counted_and_the_last_policy_stays(
    reference: reference_process.ReferenceProcess,
):
    station = _station(reference, [_snapshot(1), errors.ArtifactError("altered"), _snapshot(3)])
    assert [station.worker.step() for _ in range(3)] == [True, False, True]
    assert [artifact.version for artifact in station.sink.published] == [1, 3]
    assert station.metrics.series("convert", "Policy/num_refused_snapshots") == [0.0, 1.0]


def test_snapshot_that_is_not_finite_can_stop_the_run(reference: reference_process.ReferenceProcess):
    bad = _snapshot(2)
    bad.variables["head/bias"][1] = np.nan
    station = _station(reference, [bad], stop_at_bad_numbers=True)
    with pytest.raises(errors.NumericalError, match=r"snapshot 2: variable 'head/bias'\[1\] is nan"):
        station.worker.step()
    assert station.sink.published == []


@pytest.mark.parametrize(
    ("on_failure", "published"), [("keep", []), ("publish_float32", ["float32"])], ids=["keep", "publish float32"]
)
def test_parity_failure(reference: reference_process.ReferenceProcess, on_failure: str, published: list[str]):
    station = _station(reference, [_snapshot(1)], dataclasses.replace(_NEVER_PASSES, on_failure=on_failure))
    assert station.worker.step()
    assert [artifact.recipe for artifact in station.sink.published] == published
    # The evaluator tells what the quantized one would have earned.
    assert [quantized.recipe for quantized, _ in station.sink.pairs] == ["static_wi8_ai8"] * len(published)
    assert station.metrics.series("convert", "Parity/num_failures") == [1.0]
    assert station.metrics.series("convert", "Parity/is_passed") == [0.0]
    assert station.metrics.series("convert", "Policy/is_published") == [float(bool(published))]


def test_parity_failure_can_stop_the_run(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_snapshot(1)], dataclasses.replace(_NEVER_PASSES, on_failure="stop"))
    with pytest.raises(
        errors.ParityError, match=r"policy 1 fails parity: action_error_mean_share .* than static_wi8_ai8"
    ):
        station.worker.step()
    assert station.sink.published == []


def _dead_snapshot() -> records.PolicySnapshot:
    """No relu of its second layer ever opens; int8 steps of an output that is always 0 are finer than kernels can have them."""
    snapshot = _snapshot(1)
    snapshot.variables["dense_1/bias"][:] = -1000
    return snapshot


@pytest.mark.parametrize(
    ("on_failure", "published"), [("keep", []), ("publish_float32", ["float32"])], ids=["keep", "publish float32"]
)
def test_policy_that_no_runtime_can_run_fails_parity(
    reference: reference_process.ReferenceProcess, on_failure: str, published: list[str]
):
    station = _station(reference, [_dead_snapshot()], parity_gate.ParityConfig(on_failure=on_failure))
    assert station.worker.step()
    assert [artifact.recipe for artifact in station.sink.published] == published
    # The evaluator judges what is deployed.
    assert [(quantized.recipe, original.recipe) for quantized, original in station.sink.pairs] == [
        (recipe, "float32") for recipe in published
    ]
    assert station.metrics.series("convert", "Parity/num_failures") == [1.0]


def test_policy_that_no_runtime_can_run_stops_the_run_where_failures_do(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_dead_snapshot()], parity_gate.ParityConfig(on_failure="stop"))
    with pytest.raises(
        errors.ParityError, match=r"policy 1 fails parity: .*'dense_1' has steps of .*is the layer dead"
    ):
        station.worker.step()


@pytest.mark.parametrize("passes", [True, False])
def test_each_policy_is_converted_once(
    reference: reference_process.ReferenceProcess, monkeypatch: pytest.MonkeyPatch, passes: bool
):
    converted, convert = [], policy_converter.PolicyConverter.convert

    def counted(converter, *arguments):
        converted.append(converter.recipe.name)
        return convert(converter, *arguments)

    monkeypatch.setattr(policy_converter.PolicyConverter, "convert", counted)
    _station(reference, [_snapshot(1)], None if passes else _NEVER_PASSES).worker.step()
    assert converted == ["static_wi8_ai8", "float32"]


def test_float_policy_whose_outputs_overflow_is_not_published(reference: reference_process.ReferenceProcess):
    snapshot = _snapshot(1)
    for name in ("dense_0/kernel", "dense_1/kernel", "head/kernel"):
        snapshot.variables[name] *= np.float32(1e20)
    station = _station(reference, [snapshot], stop_at_bad_numbers=True)
    with pytest.raises(errors.NumericalError):
        station.worker.step()
    assert station.sink.published == []


@pytest.mark.parametrize("name", ["head/kernel", "observation_scaling/offset"])
def test_snapshot_of_another_network_is_a_conversion_error(reference: reference_process.ReferenceProcess, name: str):
    snapshot = _snapshot(1)
    del snapshot.variables[name]
    with pytest.raises(errors.ConversionError, match=f"variables missing: .*{name}"):
        _station(reference, [snapshot]).worker.step()


def test_run_ends_when_told(reference: reference_process.ReferenceProcess):
    station = _station(reference, [_snapshot(1), _snapshot(2)])
    thread = threading.Thread(target=station.worker.run, args=(station.sink.stop,))
    thread.start()
    thread.join(timeout=120)
    assert not thread.is_alive()
    assert station.sink.published[0].version == 1
    assert reference._process is None  # TensorFlow's memory was given back once the templates were compiled
