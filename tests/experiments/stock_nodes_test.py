"""Tests of arm S: TF-Agents' collectors against a real Reverb server, and what they write."""

import dataclasses
import math
import threading
import types

import numpy as np
import pytest
import reverb
from tf_agents.experimental.distributed import reverb_variable_container
from tf_agents.trajectories import time_step as ts

from tfquarl.collector import exploration as exploration_lib
from tfquarl.core import errors
from tfquarl.core import exploration_config
from tfquarl.core import records
from tfquarl.environments import registry
from tfquarl.experiments import stock_agent
from tfquarl.experiments import stock_loop
from tfquarl.experiments import stock_nodes
from tfquarl.experiments import stock_policy
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import numpy_policy
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import gin_loading
from tfquarl.program import layout
from tfquarl.program import stations
from tfquarl.program import transport as transport_lib
from tfquarl.publication import publication_tables
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition
from tfquarl.replay import variable_table
from tfquarl.testing import collector_fakes
from tfquarl.testing import memory_metrics

_KEY = b"0123456789abcdef"


@pytest.fixture(scope="module")
def experiment():
    bindings = [
        "CollectorConfig.initial_collect_steps = 50",
        "ReplayConfig.samples_per_insert = None",
        "ReplayConfig.min_size_to_sample = 100",
    ]
    return gin_loading.load(["configs/gin/experiments/actorq_cartpole.gin"], bindings).experiment


@pytest.fixture(scope="module")
def spec(experiment):
    return registry.spec(experiment.environment.name, 1)


@pytest.fixture
def server(experiment, spec):
    row = transition.TransitionLayout.from_spec(spec)
    table = variable_table.make_variable_table(experiment.agent.architecture(spec).variable_shapes())
    server = reverb.Server(
        [*tables.make_tables(experiment.replay, row), *publication_tables.make_publication_tables(), table]
    )
    yield f"localhost:{server.port}"
    server.stop()


def _context(experiment, spec, metrics):
    return types.SimpleNamespace(experiment=experiment, spec=spec, index=1, sender=metrics)


class _Pushed:
    def __init__(self):
        self.snapshots = []

    def push(self, snapshot):
        self.snapshots.append(snapshot)


def test_variables_travel_and_steps_become_the_learner_s_rows(experiment, spec, server):
    architecture = experiment.agent.architecture(spec)
    container = reverb_variable_container.ReverbVariableContainer(server)
    variables = initial_variables.initial_variables(architecture, 3, 0.0)
    pushed = _Pushed()
    stock_nodes.VariablePusher(container, pushed).push(records.PolicySnapshot(1, 40, variables))
    assert [snapshot.version for snapshot in pushed.snapshots] == [1]

    metrics, stop = memory_metrics.MemoryMetrics(), threading.Event()
    transport = transport_lib.ReverbTransport(experiment, spec, server, _KEY, stop)
    loop = stock_nodes.make_loop(_context(experiment, spec, metrics), transport, container)
    assert loop.run(300, stop) == 300
    transport.close()
    loop.report()

    pulled = loop._pull._variables
    assert int(pulled["train_step"]) == 40
    for variable, value in zip(pulled["policy_variables"], variables.values(), strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    client = reverb.Client(server)
    info = server_calls.server_info(client, 10)
    group, step, values = metrics.rows[-1]
    assert (group, step, values["Metrics/EnvironmentSteps"], values["Policy/version"]) == ("collect/1", 300, 300, 3)
    assert min(values["RunTime/step_sec"], values["RunTime/pull_sec"], values["RunTime/load_sec"]) > 0
    # Windows of the last, unfinished episode are still open: fewer than n_step.
    rows = experiment.replay.rows_in_item
    assert (300 - experiment.agent.n_step) / rows < info[tables.EXPERIENCE].current_size <= math.ceil(300 / rows)
    item = server_calls.sample(client, tables.EXPERIENCE)[0].value
    assert item.shape == (rows, transition.TransitionLayout.from_spec(spec).row_size)
    assert info[tables.OBSERVATIONS].current_size >= 1


@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_both_cut_episodes_short_where_told(experiment, spec, server, kind):
    collector = dataclasses.replace(experiment.collector, max_episode_steps=5)  # no pole falls before
    experiment = dataclasses.replace(experiment, collector=collector)
    metrics, stop = memory_metrics.MemoryMetrics(), threading.Event()
    transport = transport_lib.ReverbTransport(experiment, spec, server, _KEY, stop)
    if kind == "ours":
        loop, _ = stations.make_collector(experiment, spec, transport, metrics, index=1)
    else:
        container = reverb_variable_container.ReverbVariableContainer(server)
        variables = initial_variables.initial_variables(experiment.agent.architecture(spec), 3, 0.0)
        stock_nodes.VariablePusher(container, _Pushed()).push(records.PolicySnapshot(1, 0, variables))
        loop = stock_nodes.make_loop(_context(experiment, spec, metrics), transport, container)
    assert loop.run(50, stop) == 50  # the initial steps, which need no policy
    transport.close()
    loop.report()
    values = metrics.rows[-1][2]
    assert (values["Metrics/NumberOfEpisodes"], values["Metrics/AverageReturn"]) == (10, 5)


# A pole that is pushed to one side falls; the car and the walker go on until the time limit, where the discount stays 1.
@pytest.mark.parametrize(
    ("name", "last_discount"), [("gym:CartPole-v1", 0.0), ("gym:MountainCar-v0", 1.0), ("dm_control:walker-stand", 1.0)]
)
def test_both_suites_give_what_this_project_s_environments_give(name, last_discount):
    stock, ours = stock_agent.load_environment(name, 3), registry.make(name, 3)
    step, observation = stock.reset(), ours.reset()
    if not ours.spec.is_discrete:  # gym's own seeds are drawn in another order
        np.testing.assert_array_equal(step.observation, observation)
    assert step.observation.dtype == np.float32 and step.observation.shape == (ours.spec.observation_size,)
    action = 1 if ours.spec.is_discrete else np.full(ours.spec.action_size, 0.3, np.float32)
    if not ours.spec.is_discrete:
        step, (observation, reward, _, _) = stock.step(action), ours.step(action)
        np.testing.assert_array_equal(step.observation, observation)
        assert float(step.reward) == pytest.approx(reward, abs=1e-6)
    length = 0 if ours.spec.is_discrete else 1
    while not step.is_last():
        step = stock.step(action)
        length += 1
    assert float(step.discount) == last_discount
    assert (length == ours.spec.max_episode_steps) == (last_discount == 1.0)


_OWN_TASKS = """
import gym
from gym import spaces
import numpy as np

BOX = spaces.Box(-10, 10, (2, 2), np.float64)


class Task(gym.Env):
    action_space = spaces.Discrete(2)

    def __init__(self, space, observation):
        self.observation_space, self.observation = space, observation

    def reset(self, seed=None):
        return self.observation

    def step(self, action):
        return self.observation, 1.0, False, {}


VALUES = np.array([[1.0, 2.0], [3.0, 4.0]])
SPACES = {"Square-v0": (BOX, VALUES), "Vector-v0": (spaces.Box(-9, 9, (2,), np.float64), VALUES[1])}
SPACES["Parts-v0"] = (
    spaces.Dict({"b": BOX, "a": spaces.Box(0, 9, (1,), np.int64), "c": spaces.Box(0, 9, (), np.float32)}),
    {"b": VALUES, "a": np.array([7]), "c": np.float32(5)},
)
for name, (space, value) in SPACES.items():
    gym.register(name, entry_point=Task, max_episode_steps=3, kwargs={"space": space, "observation": value})
"""


@pytest.mark.parametrize(
    ("task", "expected"),
    [("Vector-v0", [3, 4]), ("Square-v0", [1, 2, 3, 4]), ("Parts-v0", [7, 1, 2, 3, 4, 5])],  # gym sorts parts by name
)
def test_own_gym_tasks_have_one_flat_observation_as_ours_do(tmp_path, monkeypatch, task, expected):
    (tmp_path / "gym_tasks_for_stock.py").write_text(_OWN_TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"gym:gym_tasks_for_stock:{task}"
    stock, ours = stock_agent.load_environment(name, 3), registry.make(name, 3)
    first = stock.reset()
    assert stock.observation_spec().shape == (len(expected),) == (ours.spec.observation_size,)
    for observation in (first.observation, stock.step(0).observation, ours.reset()):
        assert observation.dtype == np.float32 and observation.tolist() == expected
    stock.step(0)
    assert float(stock.step(0).discount) == 1.0  # by the time limit


def test_the_topology_differs_in_server_learner_and_collectors():
    scale = experiment_lib.ScaleConfig(num_collectors=2)
    ours, stock = layout.make_nodes(scale), stock_nodes.make_nodes(scale)
    assert [(spec.name, spec.index) for spec in stock] == [(spec.name, spec.index) for spec in ours]
    differing = {theirs.name for theirs, own in zip(stock, ours) if theirs.run is not own.run}
    assert differing == {"server", "learner", "collector_0", "collector_1"}


def test_transitions_of_the_driver_become_steps():
    sink, observations = collector_fakes.TapeSink(), collector_fakes.TapeObservations()
    observer = stock_loop.StepObserver(sink, observations)
    values = [np.array([number], np.float32) for number in range(6)]
    begin, middle = ts.restart(values[0]), ts.transition(values[1], np.float32(1.0))
    died, anew = ts.termination(values[2], np.float32(2.0)), ts.restart(values[3])
    cut = ts.truncation(values[4], np.float32(4.0))
    action = types.SimpleNamespace(action=np.int64(1))

    observer.start(begin)
    for before, after in [(begin, middle), (middle, died), (died, anew), (anew, cut), (cut, ts.restart(values[5]))]:
        observer((before, action, after))

    assert sink.tape == [
        ("start", [0.0]),
        ("add", 1, 1.0, [1.0], False, False),
        ("add", 1, 2.0, [2.0], True, False),
        ("start", [3.0]),
        ("add", 1, 4.0, [4.0], False, True),
        ("start", [5.0]),
    ]
    assert observer.returns == [3.0, 4.0]
    assert [float(value[0]) for value in observations.observations] == [1.0, 2.0, 4.0]


def _exploration(strength, kind=exploration_config.EPSILON_GREEDY, **changes):
    return exploration_config.ExplorationConfig(kind, strength, strength, 0, 0, **changes)


def test_without_exploration_the_policy_does_what_the_network_says(spec):
    architecture = architecture_lib.q_architecture(spec, (8,))
    variables = initial_variables.initial_variables(architecture, 5, 0.0)
    policy, network, _ = stock_policy.make_policy(architecture, _exploration(0.0), spec)
    network.assign(variables, "test")
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    actions = [int(policy.action(ts.restart(observation)).action) for observation in observations]
    q_values = numpy_policy.forward(architecture, variables, observations)["output"]
    assert actions == q_values.argmax(axis=1).tolist()
    assert len(set(actions)) == 2


def test_noise_is_a_share_of_the_half_range_and_clipped(experiment):
    del experiment
    spec = registry.spec("dm_control:cartpole-balance", 1)
    architecture = architecture_lib.action_architecture(spec, (8,))
    exploration = _exploration(100.0, exploration_config.GAUSSIAN)
    policy, _, _ = stock_policy.make_policy(architecture, exploration, spec)
    step = ts.restart(np.zeros(spec.observation_size, np.float32))
    actions = {round(float(policy.action(step).action[0]), 3) for _ in range(30)}
    assert {-1.0, 1.0} <= actions


@pytest.mark.parametrize("exponent", [1.25, 3.0], ids=["long", "short"])
def test_held_random_actions_are_those_of_our_collectors(spec, exponent):
    architecture = architecture_lib.q_architecture(spec, (8,))
    variables = initial_variables.initial_variables(architecture, 5, 0.0)
    config = _exploration(0.2, hold_exponent=exponent)
    policy, network, _ = stock_policy.make_policy(architecture, config, spec)
    network.assign(variables, "test")
    observation = np.full(4, 0.5, np.float32)
    greedy = int(numpy_policy.forward(architecture, variables, observation[None])["output"].argmax())
    ours = exploration_lib.make(config, spec)
    values = np.eye(2, dtype=np.float32)[[greedy]]
    expected = [int(ours(values)[0]) for _ in range(400)]
    # Ends of episodes draw nothing: the driver resets there, and the action is lost.
    steps = [ts.restart(observation), ts.termination(observation, np.float32(1.0))]
    actions = []
    for _ in range(400):
        first, _ = [policy.action(step, ()) for step in steps]
        assert first.action.dtype == np.int64
        actions.append(int(first.action))
    assert actions == expected
    random = [action for action in actions if action != greedy]
    assert 10 < len(random) < 390


def test_held_actions_follow_the_schedule_of_epsilon(spec):
    architecture = architecture_lib.q_architecture(spec, (8,))
    config = exploration_config.ExplorationConfig(exploration_config.EPSILON_GREEDY, 1.0, 0.0, 200, 0, 2.0)
    policy, _, explore = stock_policy.make_policy(architecture, config, spec)
    step = ts.restart(np.zeros(4, np.float32))
    explore(0)
    actions = [int(policy.action(step, ()).action) for _ in range(500)]
    assert len(set(actions[:50])) == 2
    assert len(set(actions[300:])) == 1  # no action is held for more than 100 steps


def test_what_tf_agents_lacks_is_refused():
    spec = registry.spec("dm_control:cartpole-balance", 1)
    architecture = architecture_lib.action_architecture(spec, (8,))
    changing = exploration_config.ExplorationConfig(exploration_config.GAUSSIAN, 0.4, 0.1, 100, 0)
    with pytest.raises(errors.ConfigError, match="GaussianPolicy has no schedule"):
        stock_policy.make_policy(architecture, changing, spec)
