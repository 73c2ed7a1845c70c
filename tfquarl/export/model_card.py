"""MODEL_CARD.md: where the policy comes from, what it achieves, what it costs and where it may fail, for people."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from tfquarl.export import candidate as candidate_lib
from tfquarl.export import edge_model
from tfquarl.export import tolerance
from tfquarl.metrics import return_text
from tfquarl.quantization import parity
from tfquarl.quantization import recipe as recipe_lib

FILES = {
    "policy.tflite": "the model, with the signature `observation` -> `{output}`",
    "policy.json": "observation layout with names and units, scaling, bounds, scales and zero points",
    "run_policy.py": "runs the policy; checks the golden vectors (needs numpy and ai-edge-litert)",
    "policy_model_data.h, policy_model_data.cc": "the model as a C array, and the two maps around it",
    "policy_op_resolver.h": "registers just the operators that the model needs",
    "main.cc": "runs the policy on TensorFlow Lite Micro; checks the golden vectors",
    "golden_vectors.npz, golden_vectors.h": "inputs and expected outputs, each with its tolerance in output steps",
    "parity.json": "what each runtime gave, and how far the policy is from the float one",
}


@dataclasses.dataclass(frozen=True)
class CardFacts:
    """What the card tells.

    Attributes:
      policy: what was exported.
      model: its model.
      parity: content of parity.json.
      returns: rows with 'policy', 'mean', 'low', 'high', 'episodes'; empty where nothing was played.
      latency: rows of `latency.latency_report`.
      machine: it was measured on, of `metrics.machine`.
      observations_source: what the observations came from.
    """

    policy: candidate_lib.PolicyCandidate
    model: edge_model.EdgeModel
    parity: Mapping[str, Any]
    returns: Sequence[Mapping[str, Any]]
    latency: Sequence[Mapping[str, Any]]
    machine: Mapping[str, Any]
    observations_source: str


def write_card(facts: CardFacts) -> str:
    """The card as Markdown."""
    sections = [
        f"# {facts.policy.name}",
        _summary(facts),
        "## Training\n\n" + _training(facts.policy),
        "## Returns\n\n" + _returns(facts),
        "## Size and latency\n\n" + _latency(facts),
        "## Verification\n\n" + _verification(facts),
        "## Limits\n\n" + _limits(facts),
        "## Files\n\n" + _files(facts),
    ]
    return "\n\n".join(sections) + "\n"


def exported_row(recipe: recipe_lib.Recipe) -> str:
    """What the latency report calls the exported model."""
    return recipe.name if recipe.io == "float32" else f"{recipe.name}, {recipe.io} input and output"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def _summary(facts: CardFacts) -> str:
    spec, recipe = facts.policy.spec, facts.policy.recipe
    action = f"{spec.num_actions} discrete actions" if spec.is_discrete else f"{spec.action_size} continuous actions"
    return (
        f"A policy for `{spec.name}`: {spec.observation_size} observation features in, {action} out, by recipe `{recipe.name}` with "
        f"{recipe.io} input and output, {len(facts.model.model):,} bytes."
    )


def _training(policy: candidate_lib.PolicyCandidate) -> str:
    rows = [(key.replace("_", " "), _plain(value)) for key, value in policy.facts.items() if value is not None]
    return table(("what", "value"), rows) if rows else "Nothing is known of it."


def _returns(facts: CardFacts) -> str:
    if not facts.returns:
        return (
            "Not measured in this export; what the run measured, if it did, stands above. `--episodes=N` plays the exported file in its "
            "environment."
        )
    rows = [
        (
            str(row["policy"]),
            *return_text.cells(row["mean"], row["low"], row["high"], " to ", "-"),
            str(row["episodes"]),
        )
        for row in facts.returns
    ]
    note = "Both policies met the same episodes. Intervals hold the mean with 95 % confidence."
    return table(("policy", "mean return", "95 % interval", "episodes"), rows) + "\n\n" + note


def _latency(facts: CardFacts) -> str:
    rows = [
        (
            str(row["recipe"]) + (" (exported)" if row["recipe"] == exported_row(facts.policy.recipe) else ""),
            f"{row['p50_us']:.1f}",
            f"{row['p50_low_us']:.1f} - {row['p50_high_us']:.1f}",
            f"{row['p95_us']:.1f}",
            f"{row['model_bytes']:,}",
            "-" if row["arena_bytes"] is None else f"{row['arena_bytes']:,}",
            ", ".join(f"{count} {name}" for name, count in row["operations"].items()),
        )
        for row in facts.latency
    ]
    header = ("recipe", "p50 us", "quartiles of p50", "p95 us", "model bytes", "arena bytes", "operations")
    note = (
        f"One action on one thread by ai-edge-litert, on {facts.machine['cpu']}, recipes in turns, with {facts.observations_source}. "
        "Models have float input and output where nothing else is said; integer ones are timed without the caller's scaling. The arena "
        "is what TensorFlow Lite Micro needs on 64 bits; '-' where it does not run the model."
    )
    missing = "".join(f"\n\n`{name}` is missing: {reason}" for name, reason in facts.policy.missing.items())
    return table(header, rows) + "\n\n" + note + missing


def _verification(facts: CardFacts) -> str:
    rows = []
    for row in facts.parity["runtimes"]:
        if row["status"] in ("refused", "skipped"):
            rows.append((row["runtime"], row["version"], f"{row['status']}: {row['reason']}", "", "", "", "", ""))
            continue
        greedy = "-" if row["greedy_changed_share"] is None else f"{100 * row['greedy_changed_share']:.2g} %"
        steps = f"{row['max_steps']:.3g}"
        worst = f"{row['worst_steps']:.3g} of {row['allowed_steps']:.3g}"
        difference = f"{row['max_difference']:.3g}"
        share = f"{100 * row['differing_share']:.2g} %"
        rows.append((row["runtime"], row["version"], row["status"], steps, worst, difference, share, greedy))
    header = (
        "runtime",
        "version",
        "verdict",
        "largest difference, steps",
        "by what is allowed there",
        "in units",
        "outputs off",
        "greedy action changed",
    )
    figures = [_figure(name, value) for name, value in facts.parity["float"]["figures"].items()]
    compilers = ", ".join(f"{row['compiler']}: {row['status']}" for row in facts.parity["compilers"])
    unit = "q_values" if facts.model.output_name == "q_values" else "the action"
    return (
        f"{facts.parity['observations']['count']} observations. {tolerance.describe(facts.parity['tolerance'])} Units are those of {unit}.\n\n"
        + table(header, rows)
        + "\n\nOn the same observations, against the float policy:\n\n"
        + table(("figure", "value"), figures)
        + f"\n\nGenerated C and C++ without a warning: {compilers}."
    )


def _figure(name: str, value: float) -> tuple[str, str]:
    if name == "sqnr_db":
        return "signal to quantization noise (dB)", f"{value:.1f}"
    text, is_share = parity.LABELS[name]
    return text, f"{value:.2%}" if is_share else f"{value:.3g}"


def _limits(facts: CardFacts) -> str:
    lines = [
        f"It was trained for `{facts.policy.spec.name}` and knows nothing of sensors that are noisy, late or broken.",
        "Its observations are those of the table in policy.json, in that order and those units; nothing checks them.",
        "Latency was measured on the machine named above, not on the device.",
    ]
    if facts.policy.recipe.is_static:
        lines.append(
            "Values beyond the calibrated range saturate: far outside the calibration observations its actions are not judged."
        )
    if facts.model.io == "int8":
        lines.append(
            "Its caller scales and quantizes, by `PolicyEncode` and `PolicyDecode` or the constants of policy.json."
        )
    if facts.parity["coarseness"] is not None and facts.parity["coarseness"]["note"]:
        lines.append(facts.parity["coarseness"]["note"])
    lines.append("main.cc is not compiled during export: that needs TensorFlow Lite Micro's sources.")
    return "\n".join(f"* {line}" for line in lines)


def _files(facts: CardFacts) -> str:
    return "\n".join(f"* `{name}`: {text.format(output=facts.model.output_name)}" for name, text in FILES.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
