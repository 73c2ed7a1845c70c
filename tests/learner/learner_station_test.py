"""Tests of the learner station: snapshots, checkpoints, metrics, and how it starts and ends."""

import pathlib
import threading
import time
from typing import Any

from absl import logging
import numpy as np
import pytest
import tensorflow as tf

from tfquarl.core import errors
from tfquarl.learner import checkpointing
from tfquarl.learner import learner_config
from tfquarl.learner import learner_station
from tfquarl.learner import policy_learner
from tfquarl.learner import snapshot_trigger
from tfquarl.metrics import names
from tfquarl.testing import learner_fakes

_RANGES = {"dense_0": (-1.0, 2.0)}


class Station:
    """A learner station with all its parts at hand. Every reward is 8, so that head/bias goes 0, 4, 6, 7, 7.5, ..."""

    def __init__(
        self,
        directory: pathlib.Path,
        rounds: int | None = None,
        observation_size: int = 2,
        rewards=((8.0,),),
        priorities: learner_fakes.TapeSink | None = None,
        clipped_share: float | None = None,
        **config: Any,
    ):
        # No period ends within a test, however slow the machine is.
        periods = dict.fromkeys(("max_snapshot_period_sec", "checkpoint_period_sec", "metrics_period_sec"), 1e6)
        settings = {"snapshot_interval_steps": 2, "steps_per_call": 1, **periods, **config}
        self.config = learner_config.LearnerConfig(**settings)
        self.trainer = learner_fakes.FakeTrainer(observation_size, clipped_share)
        self.sink = learner_fakes.TapeSink()
        self.learner = policy_learner.PolicyLearner(
            self.trainer, learner_fakes.fake_dataset(list(rewards), rounds), self.config, priorities
        )
        self.trigger = snapshot_trigger.SnapshotTrigger(self.trainer.policy_variables, self.sink, self.config)
        self.checkpoints = checkpointing.Checkpointing(
            directory,
            {"agent": self.trainer.agent, "snapshots": self.trigger},
            checkpointing.variable_shapes(self.trainer.agent),
        )
        self.station = learner_station.LearnerStation(
            self.learner, self.trigger, self.checkpoints, self.sink, self.config
        )

    @property
    def pushed(self) -> list[tuple[int, int, float]]:
        return list(self.sink.named("push"))


def test_the_whole_story_of_a_run(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, max_train_steps=5)
    assert parts.station.run(threading.Event()) == 4
    # version, train step, head/bias: one before the first step, one every two steps, one at the end.
    assert parts.pushed == [(1, 0, 0.0), (2, 2, 6.0), (3, 4, 7.5), (4, 5, 7.75)]
    ((group, step, values),) = parts.sink.named("write")
    assert (group, step, values["Policy/snapshot_version"]) == ("train", 5, 4)
    assert values["Losses/loss"] == pytest.approx((8 + 4 + 2 + 1 + 0.5) / 5)
    assert values["RunTime/train_steps_per_sec"] > 0 and 0 <= values["RunTime/rate_limiter_blocked_share"] <= 1


def test_new_priorities_are_counted_where_the_replay_is_prioritised(tmp_path: pathlib.Path) -> None:
    sink = learner_fakes.TapeSink()
    counted = {"Replay/num_updated_priorities": 3, "Replay/num_dropped_priorities": 0}
    for name, priorities, counts in (("uniform", None, {}), ("prioritised", sink, counted)):
        parts = Station(tmp_path / name, max_train_steps=3, priorities=priorities)
        parts.station.run(threading.Event())
        ((_, _, values),) = parts.sink.named("write")
        assert {key: value for key, value in values.items() if key.startswith("Replay/")} == counts


@pytest.mark.parametrize(
    ("share", "told", "num_warnings"),
    [
        pytest.param(None, {}, 0, id="no distributions"),
        pytest.param(0.0625, {0.0625}, 0, id="few"),
        pytest.param(0.25, {0.25}, 1, id="many"),
    ],
)
def test_returns_outside_of_the_support_are_told_and_warned_of_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, share: float | None, told: Any, num_warnings: int
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    parts = Station(tmp_path, max_train_steps=3, clipped_share=share, metrics_period_sec=0.0)
    parts.station.run(threading.Event())
    rows = [values for _, _, values in parts.sink.named("write")]
    assert len(rows) == 3
    assert {row["Losses/clipped_target_share"] for row in rows if "Losses/clipped_target_share" in row} == set(told)
    assert len(warnings) == num_warnings
    assert all(line.startswith("25 % of the returns that are learned from lie outside of v_min") for line in warnings)


def test_goes_on_after_a_restart(tmp_path: pathlib.Path) -> None:
    Station(tmp_path, max_train_steps=2).station.run(threading.Event())
    parts = Station(tmp_path, max_train_steps=4)
    parts.station.run(threading.Event())
    assert parts.pushed == [(4, 2, 6.0), (5, 4, 7.5), (6, 4, 7.5)]


def test_stop_ends_it_even_where_no_data_comes(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rounds=0)
    stop = threading.Event()
    versions: list[int] = []
    thread = threading.Thread(target=lambda: versions.append(parts.station.run(stop)))
    thread.start()
    stop.set()
    thread.join(timeout=60)
    assert versions == [2]
    assert parts.pushed == [(1, 0, 0.0), (2, 0, 0.0)]
    assert list(parts.sink.named("write")) == []


def test_step_by_step(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, max_train_steps=5)
    parts.station.start()
    assert [parts.station.step(3) for _ in range(3)] == [3, 2, 0]
    assert parts.station.is_done and parts.station.train_step == 5


def test_metrics_and_checkpoints_come_by_the_clock(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, metrics_period_sec=0, checkpoint_period_sec=0)
    parts.station.start()
    for _ in range(2):
        parts.station.step(1)
    assert [(step, values["Losses/loss"]) for _, step, values in parts.sink.named("write")] == [(1, 8.0), (2, 4.0)]
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["ckpt-1.index", "ckpt-2.index"]


def test_the_time_of_a_checkpoint_counts_from_the_last(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path)
    parts.station.start()
    parts.station._last_checkpoint_time -= 2e6
    for _ in range(2):
        parts.station.step(1)
    assert [path.name for path in tmp_path.glob("*.index")] == ["ckpt-1.index"]


def test_reports_are_summed_over_their_steps_and_waits_are_at_most_all_of_the_time() -> None:
    window = learner_station._Window()
    window.add(policy_learner.TrainReport(1, 8.0, 1.0, 1e6, False, 0.5))
    window.add(policy_learner.TrainReport(3, 4.0, 1.0, 0.0, False, 0.25))
    values = window.metrics()
    assert values[names.LOSS] == (8 + 3 * 4) / 4
    assert values[names.CLIPPED_SHARE] == (0.5 + 3 * 0.25) / 4
    assert values[names.BLOCKED_SHARE] == 1.0


def test_a_policy_that_is_no_number_is_not_published(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path)
    parts.trainer.agent.bias.assign([np.nan])
    with pytest.raises(errors.NumericalError, match="snapshot 1 at train step 0: variable 'head/bias'"):
        parts.station.start()
    assert parts.pushed == []


def test_a_bad_loss_takes_the_learner_back_to_its_checkpoint(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rewards=[[8.0], [8.0], [np.nan], [8.0]], checkpoint_period_sec=0, metrics_period_sec=0)
    parts.station.start()
    assert [parts.station.step(1) for _ in range(4)] == [1, 1, 0, 1]
    # At train step 2 twice, the second time restored; a version is never given twice.
    assert parts.pushed == [(1, 0, 0.0), (2, 2, 6.0), (3, 2, 6.0)]
    assert parts.station.train_step == 3
    assert [values["Losses/num_gone_back"] for _, _, values in parts.sink.named("write")] == [0, 0, 1]


def test_a_bad_loss_can_stop_the_run(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rewards=[[8.0], [np.nan]], checkpoint_period_sec=0, stop_at_bad_numbers=True)
    parts.station.start()
    parts.station.step(1)
    with pytest.raises(errors.NumericalError, match="one of the 1 train steps up to 2: the loss is nan"):
        parts.station.step(1)


def test_a_loss_that_stays_bad_ends_the_run(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rewards=[[8.0], *[[np.nan]] * 3], checkpoint_period_sec=0, max_times_back=2)
    parts.station.start()
    assert [parts.station.step(1) for _ in range(3)] == [1, 0, 0]
    with pytest.raises(errors.NumericalError, match="it came again 2 times after the same checkpoint"):
        parts.station.step(1)
    assert parts.pushed == [(1, 0, 0.0), (2, 1, 4.0), (3, 1, 4.0)]


def test_bad_losses_after_different_checkpoints_are_not_counted_together(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rewards=[[8.0], [np.nan]], checkpoint_period_sec=0, max_times_back=1)
    parts.station.start()
    assert [parts.station.step(1) for _ in range(6)] == [1, 0] * 3


def test_without_a_checkpoint_there_is_no_way_back(tmp_path: pathlib.Path) -> None:
    parts = Station(tmp_path, rewards=[[np.nan]])
    parts.station.start()
    with pytest.raises(errors.NumericalError, match="no checkpoint yet to go back to"):
        parts.station.step(1)


@pytest.mark.parametrize("is_last", [False, True], ids=["while it trains", "at its end"])
def test_a_checkpoint_never_holds_bad_numbers(tmp_path: pathlib.Path, is_last: bool) -> None:
    parts = Station(tmp_path, checkpoint_period_sec=0, snapshot_interval_steps=100)
    parts.station.start()
    parts.station.step(1)
    parts.trainer.agent.offset.assign([np.nan, 0.0])
    if is_last:
        parts.station.finish()
    else:
        assert parts.station.step(1) == 0
    assert parts.trainer.agent.offset.numpy().tolist() == [0.0, 0.0]
    assert parts.pushed == [(1, 0, 0.0), (2, 1, 4.0)]


@pytest.mark.parametrize(
    "moments, versions",
    [
        ([(0, 0.0), (1, 1.0), (2, 2.0), (4, 3.0)], [0, 2, 4]),
        ([(0, 0.0), (2, 0.4), (3, 0.6)], [0, 3]),
        ([(0, 0.0), (1, 9.0), (1, 11.0), (1, 30.0)], [0, 1]),
    ],
    ids=["every two steps", "not more often than each half second", "at least every ten seconds if there was a step"],
)
def test_when_snapshots_are_due(moments: list[tuple[int, float]], versions: list[int]) -> None:
    config = learner_config.LearnerConfig(
        snapshot_interval_steps=2, min_snapshot_period_sec=0.5, max_snapshot_period_sec=10
    )
    sink, now = learner_fakes.TapeSink(), [0.0]
    trigger = snapshot_trigger.SnapshotTrigger(
        learner_fakes.FakeTrainer().policy_variables, sink, config, clock=lambda: now[0]
    )
    for train_step, now[0] in moments:
        trigger(train_step)
    assert [step for _, step, _ in sink.named("push")] == versions


@pytest.mark.parametrize("own, published, expected", [(2, 7, 8), (7, 2, 8), (0, 0, 1)])
def test_versions_go_on_from_the_newest_whoever_gave_it(own: int, published: int, expected: int) -> None:
    sink = learner_fakes.TapeSink()
    config = learner_config.LearnerConfig()
    variables = learner_fakes.FakeTrainer().policy_variables
    trigger = snapshot_trigger.SnapshotTrigger(variables, sink, config, published=published)
    trigger.version_variable.assign(own)  # as a checkpoint does
    assert [trigger.push(step).version for step in (0, 1)] == [expected, expected + 1]


def test_snapshots_keep_their_values() -> None:
    trainer, sink = learner_fakes.FakeTrainer(), learner_fakes.TapeSink()
    trigger = snapshot_trigger.SnapshotTrigger(
        trainer.policy_variables, sink, learner_config.LearnerConfig(), ranges=lambda: _RANGES
    )
    before = time.monotonic()
    snapshot = trigger.push(0)
    trainer.agent.bias.assign([5.0])
    assert snapshot.created_sec is not None and before <= snapshot.created_sec <= time.monotonic()
    assert snapshot.ranges == _RANGES
    assert snapshot.variables["head/bias"].tolist() == [0.0]
    assert snapshot.variables["head/bias"].dtype == np.float32


def _saved(directory: pathlib.Path) -> list[pathlib.Path]:
    """Checkpoints 1 and 2, of head/bias 4 and 6: their data files."""
    parts = Station(directory, checkpoint_period_sec=0)
    for _ in range(2):
        parts.station.step(1)
    return [directory / f"ckpt-{step}.data-00000-of-00001" for step in (1, 2)]


@pytest.mark.parametrize("damage", ["cut", "altered", "removed"])
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    newest = _saved(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(data[: len(data) // 2])
    elif damage == "altered":
        newest.write_bytes(bytes(byte ^ 255 for byte in data))
    else:
        newest.unlink()
    parts = Station(tmp_path)
    assert parts.checkpoints.restore() == str(tmp_path / "ckpt-1")
    assert parts.trainer.agent.bias.numpy() == [4.0] and parts.trainer.train_step.numpy() == 1
    passed_over, lost = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert passed_over.startswith(f"Checkpoint {tmp_path}/ckpt-2 can't be read and is passed over: ")
    assert lost == f"Train steps lost: 1, as the newest checkpoint that can be read is {tmp_path}/ckpt-1"


def test_nothing_to_restore(tmp_path: pathlib.Path) -> None:
    assert Station(tmp_path / "none").checkpoints.restore() is None


def test_no_checkpoint_can_be_read(tmp_path: pathlib.Path) -> None:
    for path in _saved(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(errors.ConfigError, match="none of its 2 checkpoints can be read"):
        Station(tmp_path).checkpoints.restore()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: pathlib.Path) -> None:
    _saved(tmp_path)
    parts = Station(tmp_path)
    other = checkpointing.Checkpointing(
        tmp_path, {"agent": parts.trainer.agent}, {"head/bias:0": (3,), "offset:0": (2,), "scale:0": (2,), "new": ()}
    )
    message = r"'head/bias:0' is \[1\] there and \[3\] here; 'new' is missing there and \[\] here"
    with pytest.raises(errors.ConfigError, match=message):
        other.restore()


def test_a_checkpoint_whose_variables_had_another_type_is_refused(tmp_path: pathlib.Path) -> None:
    checkpointing.Checkpointing(tmp_path, {"x": tf.Variable(1.0)}, {}).save(9)
    checkpoints = checkpointing.Checkpointing(tmp_path, {"x": tf.Variable(1.0, dtype=tf.float64)}, {})
    message = "ckpt-9 is of another version of tfquarl: 'x' is float there and double here; go on with the commit"
    with pytest.raises(errors.ConfigError, match=message):
        checkpoints.restore()


@pytest.mark.parametrize("damage", ["lost", "empty", "cut off"])
def test_checkpoints_are_found_without_their_list(tmp_path: pathlib.Path, damage: str) -> None:
    for step in (9, 10):
        value = tf.Variable(float(step))
        checkpointing.Checkpointing(tmp_path, {"x": value}, {}).save(step)
    whole = (tmp_path / "checkpoint").read_bytes()
    if damage == "lost":
        (tmp_path / "checkpoint").unlink()
    else:
        (tmp_path / "checkpoint").write_bytes(b"" if damage == "empty" else whole[:20])
    value = tf.Variable(0.0)
    checkpoints = checkpointing.Checkpointing(tmp_path, {"x": value}, {})
    assert checkpoints.restore() == str(tmp_path / "ckpt-10")
    assert value.numpy() == 10.0


def test_old_checkpoints_are_removed(tmp_path: pathlib.Path) -> None:
    checkpoints = checkpointing.Checkpointing(tmp_path, {"x": tf.Variable(1.0)}, {}, max_to_keep=2)
    for step in range(1, 4):
        checkpoints.save(step)
    assert sorted(path.stem for path in tmp_path.glob("*.index")) == ["ckpt-2", "ckpt-3"]
