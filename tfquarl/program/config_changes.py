"""What of a configuration may change while a run goes on, and what may not."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from tfquarl.agents import agent_builder
from tfquarl.converter import conversion_worker
from tfquarl.learner import learner_config
from tfquarl.networks import quantization_aware
from tfquarl.program import experiment as experiment_lib
from tfquarl.replay import replay_config

_WHOLLY_FIXED = (
    experiment_lib.EnvironmentConfig,
    agent_builder.AgentBuilder,
    quantization_aware.QuantizationAwareConfig,
)
# What the kept networks, transitions and policies were made by. A class that is not named here may change altogether: budget, seed,
# number of collectors, evaluation, periods.
_FIXED = {
    experiment_lib.ScaleConfig: ("in_process",),
    learner_config.LearnerConfig: ("scale_observations",),
    conversion_worker.ConverterConfig: ("recipe", "center_q_values"),
    # A Reverb table comes back with the limits that it was kept with.
    replay_config.ReplayConfig: (
        "max_size",
        "min_size_to_sample",
        "samples_per_insert",
        "error_buffer",
        "priority_exponent",
        "rows_per_item",
        "observation_block",
        "observation_blocks",
    ),
}


def refused(old: experiment_lib.Experiment, new: experiment_lib.Experiment) -> list[str]:
    """The changes with which a run of `old` can't go on as `new`, each as 'Class.parameter: old -> new'."""
    found = []
    for field in dataclasses.fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if not dataclasses.is_dataclass(before):
            continue
        if type(before) is not type(after):
            found.append(f"Experiment.{field.name}: @{type(before).__name__}() -> @{type(after).__name__}()")
        else:
            found += _changes(before, after)
    return found


def _changes(before: Any, after: Any) -> Iterator[str]:
    for field in dataclasses.fields(before):
        values = getattr(before, field.name), getattr(after, field.name)
        if values[0] != values[1] and _is_fixed(before, field.name):
            yield f"{type(before).__name__}.{field.name}: {values[0]!r} -> {values[1]!r}"


def _is_fixed(config: Any, name: str) -> bool:
    return isinstance(config, _WHOLLY_FIXED) or name in _FIXED.get(type(config), ())
