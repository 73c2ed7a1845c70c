"""From a candidate to a verified bundle."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from absl import logging
import numpy as np

from tfquarl.export import bundle
from tfquarl.export import candidate as candidate_lib
from tfquarl.export import compilers
from tfquarl.export import description
from tfquarl.export import device_source
from tfquarl.export import edge_model
from tfquarl.export import golden_vectors
from tfquarl.export import latency
from tfquarl.export import model_card
from tfquarl.export import observation_layout
from tfquarl.export import tolerance
from tfquarl.export import verification
from tfquarl.metrics import machine
from tfquarl.runtime import model_runner
from tfquarl.runtime import trial

MICRO = trial.Runtime("tflite-micro", "reference")
MAX_COMPARED = 256  # observations that go through every runtime

PlayEpisodes = Callable[[edge_model.EdgeModel], Sequence[Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """How a bundle is made.

    Attributes:
      output_dir: the bundle's directory.
      overwrite: whether another bundle in it is replaced.
      limits: how far results may differ.
      observations_source: what the candidate's observations came from, for the card.
      units: names and units of observation elements, of `observation_layout.read_units`.
      latency_rounds: of the latency report.
      tell: hears what is being done, for a person who waits.
    """

    output_dir: pathlib.Path
    overwrite: bool = False
    limits: verification.VerificationConfig = dataclasses.field(default_factory=verification.VerificationConfig)
    observations_source: str = "real observations"
    units: Mapping[str, list[Mapping[str, str]]] | None = None
    latency_rounds: int = latency.ROUNDS
    tell: Callable[[str], None] = logging.info


def export(
    policy: candidate_lib.PolicyCandidate,
    config: ExportConfig,
    runtimes: Sequence[trial.Runtime],
    skipped: Sequence[Mapping[str, Any]] = (),
    play: PlayEpisodes | None = None,
) -> dict[str, Any]:
    """Makes, verifies and writes the bundle of `policy`.

    Args:
      policy: what is exported.
      config: how.
      runtimes: that the model is verified on; the first is what the others are compared with.
      skipped: rows for runtimes that were asked for and can't be had: 'runtime', 'version', 'status', 'reason'.
      play: plays the exported model and the float one; rows of `model_card.CardFacts.returns`.

    Returns:
      The content of parity.json, with 'returns' and 'latency'.

    Raises:
      ConfigError: the output directory may not be written.
      ConversionError: the model can't be made, run or compiled.
      ParityError: it acts otherwise on some runtime, or unlike the float policy.
    """
    bundle.check_output_dir(config.output_dir, config.overwrite)
    layout = observation_layout.observation_layout(policy.spec, config.units)
    model = edge_model.make_edge_model(
        policy.models[policy.recipe.name], policy.recipe.io, policy.output_name, description.metadata(policy)
    )
    observations = golden_vectors.spread(policy.observations, MAX_COMPARED)
    trials = verification.run_trials(model, model.encode(observations), runtimes, _told(config))
    vectors = _compared(config, model, observations, trials)
    parity = _judge(policy, config, model, vectors, trials)
    vectors = vectors.at(vectors.choose(golden_vectors.MAX_VECTORS))
    refusal, arena_bytes = _micro_verdict(trials)
    sources = _sources(policy, model, vectors, refusal, arena_bytes)
    parity["runtimes"] += skipped
    config.tell("compiling the generated C++")
    parity["compilers"] = compilers.compile_sources(sources, model.model)
    returns = list(play(model)) if play else []
    report = _latency(policy, model, config, arena_bytes)
    facts = model_card.CardFacts(
        policy, model, parity, returns, report, machine.describe_machine(), config.observations_source
    )
    result = {**parity, "returns": returns, "latency": report}
    contents: dict[str, bytes | str] = {
        "policy.tflite": model.model,
        **sources,
        "golden_vectors.npz": vectors.to_npz(),
        "parity.json": _json(result),
        "MODEL_CARD.md": model_card.write_card(facts),
    }
    versions = machine.package_versions((*machine.PACKAGES, "tflite-micro"))
    described = description.describe(policy, model, layout, arena_bytes, versions)
    described["sha256"] = {name: hashlib.sha256(_bytes(content)).hexdigest() for name, content in contents.items()}
    bundle.write_bundle(config.output_dir, {**contents, bundle.DESCRIPTION: _json(described)}, config.overwrite)
    return result


def _told(config: ExportConfig) -> Callable[[trial.Runtime, bytes, np.ndarray], trial.Trial]:
    """`trial.run`, which tells the user before each trial what it runs."""

    def run(runtime: trial.Runtime, model: bytes, inputs: np.ndarray) -> trial.Trial:
        config.tell(f"running {len(inputs)} observations on {runtime.name}")
        return trial.run(runtime, model, inputs)

    return run


def _compared(
    config: ExportConfig, model: edge_model.EdgeModel, observations: np.ndarray, trials: Sequence[trial.Trial]
) -> golden_vectors.GoldenVectors:
    """All observations that were compared, with what the model must give for them."""
    outputs = verification.outputs_of(trials[0])
    limits = tolerance.make_tolerance(model, model.decode(outputs), config.limits.tolerance_steps)
    return golden_vectors.make_golden_vectors(model, observations, outputs, limits)


def _judge(
    policy: candidate_lib.PolicyCandidate,
    config: ExportConfig,
    model: edge_model.EdgeModel,
    vectors: golden_vectors.GoldenVectors,
    trials: Sequence[trial.Trial],
) -> dict[str, Any]:
    """What parity.json says of the trials; raises `ParityError` where it is too much, or where the comparison proves nothing."""
    limits, values, observations = vectors.limits, vectors.values, vectors.observations
    telling = vectors.choose(golden_vectors.MAX_VECTORS)
    rows = verification.compare(model, trials, limits, telling)
    expected = model_runner.ModelRunner(policy.models[candidate_lib.REFERENCE]).run(observations)
    figures = verification.float_figures(policy.spec, values, expected)
    verification.check(rows, figures, config.limits, policy.remedy)
    kept = vectors.at(telling)
    golden_vectors.check_telling(kept, policy.spec, config.limits.max_error_share)
    golden_vectors.check_telling(_of_header(kept), policy.spec, config.limits.max_error_share)
    return {
        "model_sha256": hashlib.sha256(model.model).hexdigest(),
        "observations": {
            "count": len(observations),
            "source": config.observations_source,
            "sha256": _digest(observations),
        },
        "tolerance": kept.limits.to_json(),
        "output_step": model.output_step(values).tolist(),
        "coarseness": tolerance.coarseness(model, values),
        "runtimes": rows,
        "float": {"max_error_share": config.limits.max_error_share, "figures": figures},
    }


def _sources(
    policy: candidate_lib.PolicyCandidate,
    model: edge_model.EdgeModel,
    vectors: golden_vectors.GoldenVectors,
    refusal: str,
    arena_bytes: int | None,
) -> dict[str, str]:
    """The programs of the bundle, by file name."""
    return {
        "policy_model_data.h": device_source.model_data_header(model, policy.spec, arena_bytes),
        "policy_model_data.cc": device_source.model_data_source(model, policy.spec),
        "policy_op_resolver.h": device_source.op_resolver_header(model, refusal),
        "golden_vectors.h": _of_header(vectors).to_header(),
        "main.cc": device_source.template("main.cc"),
        "run_policy.py": device_source.template("run_policy.py"),
    }


def _of_header(vectors: golden_vectors.GoldenVectors) -> golden_vectors.GoldenVectors:
    """Those that a microcontroller has room for."""
    return vectors.at(vectors.choose(golden_vectors.HEADER_VECTORS))


def _micro_verdict(trials: Sequence[trial.Trial]) -> tuple[str, int | None]:
    """Why TensorFlow Lite Micro does not run the model, or '' and the bytes of arena that it needs."""
    for item in trials:
        if item.runtime == MICRO.name:
            return item.refusal, item.arena_bytes
    return "it was not tried", None


def _latency(
    policy: candidate_lib.PolicyCandidate, model: edge_model.EdgeModel, config: ExportConfig, arena_bytes: int | None
) -> list[dict[str, Any]]:
    """Rows of `latency.latency_report`: every recipe, and the exported file in its place or, with integer ends, beside it."""
    config.tell("measuring size and latency of every recipe")
    exported = model_card.exported_row(policy.recipe)
    models = {**policy.models, exported: model.model}
    arenas = {
        name: arena_bytes if name == exported else trial.run(MICRO, bytes_, policy.observations[:1]).arena_bytes
        for name, bytes_ in models.items()
    }
    inputs = {exported: model.encode(policy.observations)}
    return latency.latency_report(models, policy.observations, arenas, config.latency_rounds, inputs)


def _digest(observations: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(observations, "<f4").tobytes()).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
