"""What a recipe buys: time per action, bytes and operations of the same policy under each recipe."""

from collections.abc import Mapping
from collections.abc import Sequence
import time
from typing import Any

import numpy as np

from tfquarl.metrics import statistics
from tfquarl.runtime import integer_core
from tfquarl.runtime import model_runner

ROUNDS = 20
CALLS_PER_ROUND = 100


def latency_report(
    models: Mapping[str, bytes],
    observations: np.ndarray,
    arena_bytes: Mapping[str, int | None],
    rounds: int = ROUNDS,
    inputs: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """One row a recipe, measured in turns, so that a slow moment of the machine hits all.

    Args:
      models: flatbuffers, by recipe.
      observations: real ones, float32 [N, D].
      arena_bytes: of TensorFlow Lite Micro, by recipe; None where it does not run the model.
      rounds: of `CALLS_PER_ROUND` calls for each model.
      inputs: by recipe, what a model takes in the place of `observations`, [N, D].

    Returns:
      By key: 'recipe', 'p50_us' and 'p95_us' of one action on one thread by ai-edge-litert, 'p50_low_us' and 'p50_high_us' (quartiles
      over the rounds), 'model_bytes', 'arena_bytes', 'operations' (names by number).
    """
    runners = {name: model_runner.ModelRunner(model) for name, model in models.items()}
    durations: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for round_number in range(-1, rounds):  # the round -1 warms up
        for name, runner in runners.items():
            measured = _round(runner, (inputs or {}).get(name, observations), round_number)
            if round_number >= 0:
                durations[name].append(measured)
    return [_row(name, models[name], durations[name], arena_bytes.get(name)) for name in models]


def count_operations(model: bytes) -> dict[str, int]:
    """How many of each operator a model has, by name."""
    names = [name for name, _ in integer_core.PolicyGraph(model).operator_versions]
    return {name: names.count(name) for name in sorted(set(names))}


def _round(runner: model_runner.ModelRunner, inputs: np.ndarray, number: int) -> np.ndarray:
    clock = time.perf_counter_ns
    durations = np.empty(CALLS_PER_ROUND)
    for i in range(CALLS_PER_ROUND):
        row = inputs[(number * CALLS_PER_ROUND + i) % len(inputs)][np.newaxis]
        start = clock()
        runner(row)
        durations[i] = clock() - start
    return durations / 1e3


def _row(name: str, model: bytes, rounds: Sequence[np.ndarray], arena_bytes: int | None) -> dict[str, Any]:
    everything = np.concatenate(rounds)
    spread = statistics.median_and_spread([float(np.median(durations)) for durations in rounds])
    return {
        "recipe": name,
        "p50_us": float(np.percentile(everything, 50)),
        "p50_low_us": spread.low,
        "p50_high_us": spread.high,
        "p95_us": float(np.percentile(everything, 95)),
        "model_bytes": len(model),
        "arena_bytes": arena_bytes,
        "operations": count_operations(model),
    }
