"""Tests of the train steps and of the observation statistics."""

import collections
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.agents import agent_trainer
from tfquarl.agents.dqn import builder
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.learner import learner_config
from tfquarl.learner import observation_statistics
from tfquarl.learner import policy_learner
from tfquarl.testing import learner_fakes


def _learner(
    rewards: list[list[float]], rounds: int | None = None, sink: Any = None, **config: Any
) -> tuple[policy_learner.PolicyLearner, learner_fakes.FakeTrainer]:
    trainer = learner_fakes.FakeTrainer()
    dataset = learner_fakes.fake_dataset(rewards, rounds)
    return policy_learner.PolicyLearner(trainer, dataset, learner_config.LearnerConfig(**config), sink), trainer


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "compiled"])
def test_trains_and_reports_the_mean_loss(jit_compile: bool) -> None:
    learner, trainer = _learner([[8.0, 8.0]], jit_compile=jit_compile)
    report = learner.train(3)
    assert (report.num_steps, report.is_starved, learner.train_step) == (3, False, 3)
    assert trainer.agent.bias.numpy() == [7.0]  # 0 -> 4 -> 6 -> 7
    assert report.mean_loss == pytest.approx((8 + 4 + 2) / 3)
    assert 0 <= report.wait_sec <= report.elapsed_sec
    assert learner.train(1).mean_loss == pytest.approx(1.0)


def test_goes_on_where_the_dataset_gave_up_waiting() -> None:
    learner, trainer = _learner([[8.0], [8.0]], rounds=1)
    reports = [learner.train(3) for _ in range(3)]
    assert [report.is_starved for report in reports] == [True, True, True]
    assert [report.num_steps for report in reports] == [2, 2, 2]
    assert reports[0].mean_loss == pytest.approx(6.0)
    assert trainer.train_step.numpy() == 6


def test_priorities_of_all_steps_are_sent_at_once() -> None:
    sink = learner_fakes.TapeSink()
    learner, _ = _learner([[8.0, 0.0], [4.0, 4.0]], sink=sink)
    learner.train(2)
    # Head/bias is 0 in the first step and 2 in the second.
    assert sink.tape == [("update", [0, 1, 0, 1], [8.0, 0.0, 2.0, 2.0])]
    assert learner.priorities is sink and sink.num_updated == 4


def test_uniform_replay_takes_no_priorities() -> None:
    learner, _ = _learner([[8.0, 0.0]])
    learner.train(1)
    assert learner.priorities is None


def test_importance_weights() -> None:
    weights = policy_learner.importance_weights(tf.constant([0.5, 0.125, 0.25], tf.float64), 0.5)
    np.testing.assert_allclose(weights.numpy(), [0.5, 1.0, np.sqrt(0.5)], rtol=1e-6)
    np.testing.assert_array_equal(policy_learner.importance_weights(tf.constant([0.1, 0.9]), 0.0).numpy(), [1, 1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_refused(bad: float) -> None:
    learner, _ = _learner([[1.0], [bad], [1.0]])
    with pytest.raises(
        errors.NumericalError, match=r"one of the 3 train steps up to 3: the loss is (nan|inf).*head/bias"
    ):
        learner.train(3)


def test_variables_are_looked_at_by_name() -> None:
    learner, trainer = _learner([[1.0]])
    learner.check_variables()
    trainer.agent.offset.assign([0.0, np.inf])
    with pytest.raises(errors.NumericalError, match="train step 0: not finite: offset:0; no checkpoint was written"):
        learner.check_variables()


@pytest.mark.parametrize("last_step, mean", [(None, 2.0), (1, 1.0), (0, 0.0)])
def test_observation_scaling_follows_the_batches(last_step: int | None, mean: float) -> None:
    learner, trainer = _learner([[1.0, 1.0], [3.0, 3.0]], scale_observations=True, scaling_train_steps=last_step)
    learner.train(2)
    np.testing.assert_allclose(trainer.agent.offset.numpy(), [mean, mean])
    spread = {2.0: 1.0, 1.0: observation_statistics.MIN_SPREAD, 0.0: 1.0}[mean]
    np.testing.assert_allclose(trainer.agent.scale.numpy(), [1 / spread] * 2, rtol=1e-5)


def test_observation_scaling_is_left_alone_by_default() -> None:
    learner, trainer = _learner([[1.0, 3.0]])
    learner.train(2)
    assert trainer.agent.offset.numpy().tolist() == [0, 0] and trainer.agent.scale.numpy().tolist() == [1, 1]


def test_statistics_are_those_of_all_observations() -> None:
    generator = np.random.default_rng(0)
    batches = [generator.normal(5, 3, size=(size, 2)).astype(np.float32) for size in (1, 7, 20, 64)]
    statistics = observation_statistics.ObservationStatistics(2)
    for batch in batches:
        statistics.update(tf.constant(batch))
    whole = np.concatenate(batches)
    np.testing.assert_allclose(statistics.mean.numpy(), whole.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(statistics.variance.numpy(), whole.var(axis=0), rtol=1e-4)
    assert statistics.count.numpy() == len(whole)


@pytest.mark.parametrize(
    ("offset", "half"), [(0.0, 1.0), (1e4, 1.0), (1e4, 0.125), (1e6, 0.5)], ids=["0 +- 1", "1e4 +- 1", "1e4 +- 1/8", "1e6 +- 1/2"]
)  # fmt: skip
def test_statistics_follow_features_far_from_zero(offset: float, half: float) -> None:
    """Batches of offset +- half, and then as many of the same, further up by two halves: in float32 the mean would stay behind."""
    statistics = observation_statistics.ObservationStatistics(1)

    @tf.function
    def update(batch: tf.Tensor) -> None:
        for _ in tf.range(2000):
            statistics.update(batch)

    policy = {name: tf.Variable(tf.zeros([1])) for name in ("observation_scaling/offset", "observation_scaling/scale")}
    for middle in (offset, offset + 2 * half):
        update(tf.constant([[middle - half], [middle + half]]))
    assert statistics.mean.numpy() == pytest.approx(offset + half, abs=1e-6)
    assert statistics.variance.numpy() == pytest.approx(2 * half**2, rel=1e-6)
    statistics.write_to(policy)
    assert policy["observation_scaling/offset"].numpy() == np.float32(offset + half)
    assert policy["observation_scaling/scale"].numpy() == pytest.approx(2**-0.5 / half, rel=1e-6)


@pytest.mark.parametrize(
    "field", ["steps_per_call", "snapshot_interval_steps", "max_train_steps", "checkpoint_period_sec"]
)
def test_config_refuses_what_can_not_be(field: str) -> None:
    with pytest.raises(errors.ConfigError, match=f"{field} is -1"):
        learner_config.LearnerConfig(**{field: -1})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_priorities_of_a_loss_that_is_no_number_are_not_sent(bad: float) -> None:
    sink = learner_fakes.TapeSink()
    learner, _ = _learner([[bad]], sink=sink)
    with pytest.raises(errors.NumericalError):
        learner.train(1)
    assert sink.tape == []


def test_observations_that_float32_can_not_square_are_refused() -> None:
    learner, _ = _learner([[1.0, 1e25]], scale_observations=True)
    with pytest.raises(errors.NumericalError, match=r"the variance of the observations is (inf|nan)"):
        learner.train(1)


def _real_learner(
    agent: builder.DqnBuilder, rewards: np.ndarray, sink: Any = None, **config: Any
) -> tuple[policy_learner.PolicyLearner, Any]:
    spec = environment_spec.EnvironmentSpec("test", (environment_spec.ObservationField("observation", (2,), 0),), 3)
    batch_type = collections.namedtuple("Batch", "observation action reward discount next_observation keys probability")
    batch = batch_type(
        np.arange(8, dtype=np.float32).reshape(1, 4, 2), np.float32([[[0], [1], [2], [0]]]), rewards, 0 * np.ones([1, 4], np.float32),
        np.zeros([1, 4, 2], np.float32), np.arange(4, dtype=np.uint64)[None], np.full([1, 4], 0.1),
    )  # fmt: skip
    trainer = agent_trainer.AgentTrainer(agent, spec)
    dataset = tf.data.Dataset.from_tensor_slices(batch).repeat()
    return policy_learner.PolicyLearner(trainer, dataset, learner_config.LearnerConfig(**config), sink), trainer.agent


@pytest.mark.parametrize(
    ("num_atoms", "reward", "jit_compile"),
    [(1, float("nan"), False), (1, float("nan"), True), (1, 1.0, False), (11, 1.0, False)],
    ids=["bad reward", "bad reward, compiled", "DQN", "C51"],
)
def test_a_real_agent_s_loss_that_is_no_number_is_refused(num_atoms: int, reward: float, jit_compile: bool) -> None:
    """TF-Agents looks at a loss itself, where it isn't compiled, and raises what is TensorFlow's."""
    agent = builder.DqnBuilder(hidden_sizes=(8, 8), num_atoms=num_atoms, v_max=10.0, learning_rate=1e30)
    learner, _ = _real_learner(agent, np.float32([[1, reward, 1, 1]]), jit_compile=jit_compile)
    with pytest.raises(errors.NumericalError, match=r"the loss is (nan|inf|not finite)"):
        learner.train(5)


def test_what_an_optimizer_holds_is_looked_at_too() -> None:
    learner, agent = _real_learner(builder.DqnBuilder(hidden_sizes=(8,)), np.ones([1, 4], np.float32))
    learner.train(1)
    learner.check_variables()
    slot = next(variable for variable in agent._optimizer.variables() if variable.shape.rank == 2)
    slot.assign(tf.fill(slot.shape, np.float32(np.inf)))
    with pytest.raises(errors.NumericalError, match=f"not finite: {slot.name}"):
        learner.check_variables()


def test_trains_a_real_agent_compiled_with_everything_on() -> None:
    sink = learner_fakes.TapeSink()
    learner, _ = _real_learner(
        builder.DqnBuilder(hidden_sizes=(32,), learning_rate=1e-2),
        np.ones([1, 4], np.float32),
        sink,
        jit_compile=True,
        scale_observations=True,
    )
    first, last = learner.train(1), learner.train(200)
    assert last.mean_loss < 0.3 * first.mean_loss
    assert learner.train_step == 201
    ((_, first_priorities), (_, last_priorities)) = sink.named("update")
    assert len(last_priorities) == 800 and np.mean(last_priorities[-4:]) < 0.1 * np.mean(first_priorities)
