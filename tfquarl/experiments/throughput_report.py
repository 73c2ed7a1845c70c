"""The figures of `//tools:benchmark -- --suite=throughput` as a table of the study: each arm's collection against TF-Agents'."""

from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib
from typing import Any

from tfquarl.core import errors
from tfquarl.experiments import collection_benchmark
from tfquarl.experiments import page
from tfquarl.experiments import provenance
from tfquarl.experiments import study_plan
from tfquarl.metrics import statistics
from tfquarl.metrics import table
from tfquarl.program import study_config

_RATE = "steps per second"
_SPEED = f"speed over {collection_benchmark.STOCK}"
_CPU = f"processor time below {collection_benchmark.STOCK}"

Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rows of a benchmark by case and metric."""


def write_report(source: pathlib.Path, output: pathlib.Path) -> str:
    """Writes `output`.md; the Markdown text.

    Args:
      source: JSON that the benchmark wrote.
      output: path without suffix, in a directory that is there.

    Raises:
      ArtifactError: `source` can't be read, or holds no throughput of TF-Agents' collectors and others.
      StorageError: `output` can't be written.
    """
    report = _read(source)
    rows: Rows = {(row["case"], row["metric"]): row for row in report["rows"]}
    labels = [case.removesuffix(f" {collection_benchmark.STOCK}") for case, metric in rows if _is_stock(case, metric)]
    if not labels:
        raise errors.ArtifactError(
            f"{source} has no '{_RATE}' of {collection_benchmark.STOCK}; make it by //tools:benchmark --suite=throughput"
        )
    arms = [arm for arm in study_config.ARMS if any((_case(label, arm), _SPEED) in rows for label in labels)]
    text = _markdown(report, rows, labels, arms, source.name)
    page.write(output, text)
    return text


def _read(source: pathlib.Path) -> Mapping[str, Any]:
    try:
        report = json.loads(source.read_text())
        return {name: report[name] for name in ("machine", "versions", "command", "rows")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.ArtifactError(
            f"{source} can't be read: {error!r}; give the --output of //tools:benchmark"
        ) from error


def _is_stock(case: str, metric: str) -> bool:
    return metric == _RATE and case.endswith(f" {collection_benchmark.STOCK}")


def _case(label: str, arm: str) -> str:
    return f"{label} {study_plan.RECIPES[arm]}" if arm != study_plan.STOCK else f"{label} {collection_benchmark.STOCK}"


def _markdown(report: Mapping[str, Any], rows: Rows, labels: Sequence[str], arms: Sequence[str], data_name: str) -> str:
    command = " ".join(["./bazelw run //tools:benchmark --", *report["command"][1:]])
    return "\n".join(
        [
            "# Collection throughput",
            "",
            f"    {command}",
            "",
            "One collector on one core, in turns within one run, with a real replay server on the other cores and no learner to wait for.",
            "S: TF-Agents' own collector. F32, F16, D8, I8: this project's by recipe. The policies have random weights: a trained one of",
            f"its size costs the same. {provenance.machines([report])}, commit {provenance.commits([report['versions']])}.",
            "",
            "## Environment steps per second, and how many times those of S, with 95% intervals",
            "",
            table.format_markdown(("task", "S steps/s", *arms), _table(rows, labels, arms, _SPEED)).rstrip(),
            "",
            "## How many times less processor time per step than S: the energy of collection, at the same watts per busy core",
            "",
            table.format_markdown(("task", "S steps/s", *arms), _table(rows, labels, arms, _CPU)).rstrip(),
            "",
            f"Data: {data_name}.",
            "",
        ]
    )


def _table(rows: Rows, labels: Sequence[str], arms: Sequence[str], metric: str) -> list[list[str | float | None]]:
    """A row for each task, and their geometric means."""
    lines: list[list[str | float | None]] = []
    for label in labels:
        rate = rows[(_case(label, study_plan.STOCK), _RATE)]["value"]
        lines.append([label, rate, *(_cell(rows.get((_case(label, arm), metric))) for arm in arms)])
    if len(labels) > 1:
        lines.append(["geometric mean", None, *(_mean(rows, labels, arm, metric) for arm in arms)])
    return lines


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "--"
    # One turn alone has no interval.
    interval = "" if row["low"] is None else f" ({row['low']:.2f} .. {row['high']:.2f})"
    return f"{row['value']:.2f}{interval}"


def _mean(rows: Rows, labels: Sequence[str], arm: str, metric: str) -> str:
    values = [row["value"] for label in labels if (row := rows.get((_case(label, arm), metric))) is not None]
    text = f"{statistics.geometric_mean(values):.2f}"
    return text if len(values) == len(labels) else f"{text} ({len(values)} of {len(labels)} tasks)"
