"""//tools:quantize as a person types it: every kind of source that it reads, and what it says of what it can't use."""

import json
import os
import pathlib
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import q_network
from tf_agents.policies import policy_saver
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step

from tfquarl.core import errors
from tfquarl.networks import architecture
from tfquarl.testing import tiny_policies
from tools import quantize

_ROOT = pathlib.Path(architecture.__file__).parents[2]
_GIN = """
PolicyArchitecture.observation_size = 4
PolicyArchitecture.hidden_sizes = (8, 8)
PolicyArchitecture.output_size = 2
PolicyArchitecture.head = 'q_values'
"""


def _type(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # which tests run with, and users do not
    return subprocess.run(
        [sys.executable, str(_ROOT / "tools" / "quantize.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
    )


def _call(*arguments: str) -> int:
    """The command in this process, which has loaded TensorFlow already."""
    with flagsaver.flagsaver():
        flags.FLAGS(["quantize", *arguments])
        return quantize.main()


@pytest.fixture(scope="module", name="sources")
def _sources(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with one source of each kind, all of them for CartPole, and observations."""
    path = tmp_path_factory.mktemp("sources")
    tiny = tiny_policies.cartpole_policy()
    kernels = {name: value for name, value in tiny.variables.items() if not name.startswith("observation_scaling")}
    np.savez(path / "weights.npz", **kernels)
    np.savez(path / "pendulum.npz", **_pendulum_weights())
    np.savez(path / "short.npz", **{name: value for name, value in kernels.items() if name != "head/bias"})
    (path / "architecture.gin").write_text(_GIN)
    model = _keras_model(kernels)
    model.save(path / "policy.keras")
    tf.saved_model.save(model, str(path / "saved"))
    _save_agent(path / "agent", kernels)
    _save_odd_model(path / "odd")
    (path / "damaged.keras").write_bytes((path / "policy.keras").read_bytes()[:500])
    _save_observations(path, tiny.observations)
    return path


def _pendulum_weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {"dense_0/kernel": (3, 8), "dense_0/bias": (8,), "head/kernel": (8, 1), "head/bias": (1,)}
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _keras_model(kernels: dict[str, np.ndarray]) -> tf.keras.Model:
    units = {"dense_0": (8, "relu"), "dense_1": (8, "relu"), "head": (2, None)}
    layers = {name: tf.keras.layers.Dense(size, activation) for name, (size, activation) in units.items()}
    model = tf.keras.Sequential([tf.keras.layers.Input([4]), *layers.values()])
    for name, layer in layers.items():
        layer.set_weights([kernels[f"{name}/kernel"], kernels[f"{name}/bias"]])
    return model


def _save_agent(path: pathlib.Path, kernels: dict[str, np.ndarray]) -> None:
    spec = time_step.time_step_spec(tf.TensorSpec([4], tf.float32, "observation"))
    action = tensor_spec.BoundedTensorSpec([], tf.int64, 0, 1)
    network = q_network.QNetwork(spec.observation, action, fc_layer_params=(8, 8))
    agent = dqn_agent.DqnAgent(spec, action, network, tf.keras.optimizers.Adam(1e-3))
    agent.initialize()
    values = [kernels[f"{layer}/{part}"] for layer in ("dense_0", "dense_1", "head") for part in ("kernel", "bias")]
    for variable, value in zip(network.variables, values, strict=True):
        variable.assign(value)
    policy_saver.PolicySaver(agent.policy).save(str(path))


def _save_odd_model(path: pathlib.Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: tf.math.betainc(x, x, x), input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    tf.saved_model.save(module, str(path), signatures=module.f)


def _save_observations(path: pathlib.Path, observations: np.ndarray) -> None:
    damaged = observations.copy()
    damaged[3, 1] = np.nan
    arrays = {
        "seen": observations,
        "narrow": observations[:, :3],
        "few": observations[:8],
        "nan": damaged,
        "same": np.ones((64, 4), np.float32),
    }
    for name, array in arrays.items():
        np.savez(path / f"{name}.npz", observations=array)
    (path / "junk.npz").write_bytes(b"junk")


_PENDULUM = (
    "--gin_bindings=PolicyArchitecture.observation_size = 3",
    "--gin_bindings=PolicyArchitecture.hidden_sizes = (8,)",
    "--gin_bindings=PolicyArchitecture.output_size = 1",
    "--gin_bindings=PolicyArchitecture.head = 'action'",
    "--gin_bindings=PolicyArchitecture.action_low = (-3.0,)",
    "--gin_bindings=PolicyArchitecture.action_high = (2.0,)",
)
_ACTING = "--environment=gym:CartPole-v1"
_SEEN = ("--observations={sources}/seen.npz", "--head=q_values")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--model={sources}/policy.keras", _ACTING, "--num_observations=64", "--episodes=2"], "Keras model"),
        (["--model={sources}/saved", *_SEEN], "SavedModel"),
        (["--model={sources}/agent", _ACTING, "--observations={sources}/seen.npz"], "TF-Agents policy"),
        (["--model={sources}/weights.npz", "--gin_file={sources}/architecture.gin", *_SEEN], "weights"),
    ],
    ids=["Keras model, by acting", "SavedModel", "PolicySaver directory", "weights and architecture"],
)
def test_a_source_becomes_a_bundle(sources: pathlib.Path, tmp_path: pathlib.Path, arguments: list[str], kind: str):
    bundle = tmp_path / "policy"
    given = [text.format(sources=sources) for text in arguments]
    assert _call(*given, "--io=int8", f"--output_dir={bundle}") == 0
    card = (bundle / "MODEL_CARD.md").read_text()
    assert f"| source | {kind} |" in card
    assert ("| exported | 500.0 |" in card) == ("--episodes=2" in arguments)
    facts = json.loads((bundle / "policy.json").read_text())
    names = [element["name"] for element in facts["observation"]["elements"]]
    assert names[0] == ("cart position" if _ACTING in arguments else "observation[0]")
    assert facts["input"]["dtype"] == "int8" and facts["arena_bytes"] > 0
    golden = np.load(bundle / "golden_vectors.npz")
    expected = golden["observations"] @ np.asarray([0.1, 0.3, 2, 1], np.float32)  # the policy's own rule
    clear = np.abs(expected) > 0.1
    assert np.array_equal(golden["values"].argmax(1)[clear], (expected > 0)[clear])


def test_weights_bring_the_bounds_of_their_actions(sources: pathlib.Path, tmp_path: pathlib.Path):
    given = (
        f"--model={sources}/pendulum.npz",
        f"--observations={sources}/narrow.npz",
        f"--output_dir={tmp_path / 'new'}",
    )
    assert _call(*given, *_PENDULUM) == 0
    action = json.loads((tmp_path / "new" / "policy.json").read_text())["action"]
    assert action == {"kind": "continuous", "size": 1, "low": [-3], "high": [2]}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--model is needed"),
        (["--model={sources}/policy.keras"], "--observations or --environment is needed"),
        (["--model={sources}/policy.keras", "--observations={sources}/seen.npz"], "--head is needed"),
        (["--model={sources}/none.keras", _ACTING], "none.keras: no such file or directory"),
        (["--model={sources}/seen.txt", _ACTING], "seen.txt: no such file or directory"),
        (["--model={sources}/architecture.gin", _ACTING], "is no policy that can be read"),
        (["--model={sources}/damaged.keras", _ACTING], "can't be loaded as a Keras model"),
        (["--model={sources}/odd", "--head=action", _SEEN[0]], "TFLite has no operator for 'Betainc'; replace it by"),
        (["--model={sources}/saved", "--signature=policy", _ACTING], "has the signatures serving_default"),
        (["--model={sources}/saved", "--environment=gym:CartPol-v1"], "gym:CartPole-v1"),
        (["--model={sources}/saved", "--environment=gym:Acrobot-v1"], "is it another task's policy?"),
        (["--model={sources}/saved", _ACTING, "--head=action"], "does not fit gym:CartPole-v1"),
        (["--model={sources}/saved", "--head=action", _SEEN[0], "--action_low=a"], "--action_low=a needs numbers"),
        (["--model={sources}/saved", "--head=action", _SEEN[0], "--action_low=nan"], "--action_low=nan needs numbers"),
        (
            ["--model={sources}/saved", "--head=action", _SEEN[0], "--action_high=inf"],
            "--action_high=inf needs numbers",
        ),
        (["--model={sources}/saved", "--head=action", _SEEN[0], "--action_low=1,2,3"], "3 and 2 action bounds for 2"),
        (["--model={sources}/weights.npz", *_SEEN], "--gin_bindings='PolicyArchitecture.observation_size = 4'"),
        (
            ["--model={sources}/weights.npz", *_SEEN, "--gin_bindings=PolicyArchitecture.observation_size = 4"],
            "PolicyArchitecture.hidden_sizes is not bound; weights need their architecture",
        ),
        (["--model={sources}/weights.npz", *_SEEN, "--gin_file=none.gin"], "no gin file 'none.gin'"),
        (
            ["--model={sources}/weights.npz", *_SEEN[:1], "--head=action", "--gin_file={sources}/architecture.gin"],
            "--head=action does not fit weights.npz, whose policies give q_values",
        ),
        (
            ["--model={sources}/weights.npz", _SEEN[0], "--action_low=-1", "--gin_file={sources}/architecture.gin"],
            "--action_low=-1 does not fit weights.npz, whose actions are discrete",
        ),
        (["--model={sources}/pendulum.npz", _SEEN[0], *_PENDULUM, "--head=q_values"], "whose policies give action"),
        (
            ["--model={sources}/pendulum.npz", _SEEN[0], *_PENDULUM, "--action_low=-1"],
            "--action_low=-1 does not fit pendulum.npz, whose action_low is -3",
        ),
        (
            ["--model={sources}/pendulum.npz", _SEEN[0], *_PENDULUM, "--environment=gym:Pendulum-v1"],
            "PolicyArchitecture.action_low=-3 does not fit gym:Pendulum-v1, whose action_low is -2",
        ),
        (["--model={sources}/saved", _ACTING, "--action_high=2"], "gym:CartPole-v1, whose actions are discrete"),
        (["--model={sources}/short.npz", *_SEEN, "--gin_file={sources}/architecture.gin"], "head/bias"),
        (["--model={sources}/junk.npz", *_SEEN, "--gin_file={sources}/architecture.gin"], "is no readable .npz"),
        (["--model={sources}/saved", *_SEEN[1:], "--observations={sources}/narrow.npz"], "the policy needs [N, 4]"),
        (["--model={sources}/saved", *_SEEN[1:], "--observations={sources}/few.npz"], "needs at least 16"),
        (["--model={sources}/saved", *_SEEN[1:], "--observations={sources}/nan.npz"], "hold nan in row 3, feature 1"),
        (["--model={sources}/saved", *_SEEN[1:], "--observations={sources}/same.npz"], "are all the same"),
        (["--model={sources}/saved", *_SEEN[1:], "--observations={sources}/junk.npz"], "is no readable .npz"),
        (["--model={sources}/saved", *_SEEN, "--episodes=3"], "--episodes needs an environment"),
        (["--model={sources}/saved", *_SEEN, "--recipe=int8"], "unknown recipe 'int8'"),
        (
            ["--model={sources}/saved", *_SEEN, "--recipe=ptq_wi4_ai8"],
            "recipe 'ptq_wi4_ai8' needs weights (.npz) with their architecture, got a SavedModel",
        ),
        (["--model={sources}/saved", *_SEEN, "--output_dir={sources}"], "has files in it"),
    ],
    ids=lambda value: "" if isinstance(value, list) else value,
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    sources: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
):
    given = [text.format(sources=sources) for text in arguments]
    if not any(text.startswith("--output_dir") for text in given):
        given.append(f"--output_dir={tmp_path / 'new'}")
    try:
        assert _call(*given) == 1
        said = capsys.readouterr().err
    except errors.TfquarlError as error:
        said = f"error: {error}"
    assert complaint in said
    assert len([line for line in said.splitlines() if line.startswith("error:")]) == 1
    assert not list(tmp_path.iterdir())


def test_a_mistake_as_a_person_sees_it(sources: pathlib.Path, tmp_path: pathlib.Path):
    model, observations = f"--model={sources / 'odd'}", f"--observations={sources / 'seen.npz'}"
    done = _type(model, observations, "--head=action", f"--output_dir={tmp_path / 'new'}")
    assert done.returncode == 1 and done.stdout == ""
    *doing, error = done.stderr.splitlines()
    assert error.startswith("error: recipe 'float32': TFLite has no operator for 'Betainc'; replace it by layers")
    assert doing == ["converting the SavedModel by every recipe ..."]


def test_help_lists_the_flags_of_every_export():
    done = _type("--help")
    assert done.returncode == 0
    for flag in ("--model", "--output_dir", "--io", "--verify", "--episodes", "--units"):
        assert f"  {flag}: " in done.stdout
