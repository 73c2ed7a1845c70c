"""Tests of tfquarl.networks.architecture and numpy_policy: one definition, checked by hand."""

import json
from typing import Any

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy

FIELDS = (environment_spec.ObservationField("observation", (2,), 0),)
DISCRETE = environment_spec.EnvironmentSpec("gym:Two-v0", FIELDS, num_actions=3)
CONTINUOUS = environment_spec.EnvironmentSpec("dm_control:two-go", FIELDS, action_low=(-1.0,), action_high=(3.0,))


def test_q_architecture():
    architecture = architecture_lib.q_architecture(DISCRETE, (5, 4))
    assert architecture.head == "q_values" and architecture.output_size == 3
    assert architecture.layer_names == ("dense_0", "dense_1", "head")
    assert architecture.variable_shapes() == {
        "observation_scaling/offset": (2,),
        "observation_scaling/scale": (2,),
        "dense_0/kernel": (2, 5),
        "dense_0/bias": (5,),
        "dense_1/kernel": (5, 4),
        "dense_1/bias": (4,),
        "head/kernel": (4, 3),
        "head/bias": (3,),
    }


def test_action_architecture():
    architecture = architecture_lib.action_architecture(CONTINUOUS, (5,), "tanh")
    middle, half_range = architecture.action_scaling()
    assert architecture.head == "action" and architecture.output_size == 1
    assert (middle.tolist(), half_range.tolist()) == ([1.0], [2.0])
    assert middle.dtype == half_range.dtype == np.float32


def test_categorical_architecture():
    architecture = architecture_lib.q_architecture(DISCRETE, (4,), num_atoms=5, v_min=-1.0, v_max=1.0)
    assert (architecture.is_categorical, architecture.output_size, architecture.head_size) == (True, 3, 15)
    assert architecture.variable_shapes()["head/kernel"] == (4, 15)
    assert architecture.atoms().tolist() == [-1, -0.5, 0, 0.5, 1]
    assert not architecture_lib.q_architecture(DISCRETE, (4,)).is_categorical


def test_categorical_values_by_hand():
    architecture = architecture_lib.PolicyArchitecture(1, (1,), 2, "q_values", num_atoms=3, v_min=0.0, v_max=2.0)
    # Of weights 1 : 1 : 2 and 0 : 1 : 0; the large logits overflow without a shift.
    logits = np.log([[1, 1, 2, 1, 1e30, 1]]).astype(np.float32) + np.float32([0, 0, 0, 1000, 1000, 1000])
    np.testing.assert_allclose(numpy_policy.expected_values(architecture, logits), [[1.25, 1.0]], rtol=1e-6)


def test_kind_of_actions_must_fit():
    with pytest.raises(ValueError, match="dm_control:two-go: a Q network needs discrete"):
        architecture_lib.q_architecture(CONTINUOUS, (5,))
    with pytest.raises(ValueError, match="gym:Two-v0: a deterministic policy needs continuous"):
        architecture_lib.action_architecture(DISCRETE, (5,))


@pytest.mark.parametrize(
    "architecture",
    [
        architecture_lib.q_architecture(DISCRETE, (5, 4)),
        architecture_lib.action_architecture(CONTINUOUS, (5,), "tanh"),
        architecture_lib.q_architecture(DISCRETE, (5,), num_atoms=51, v_min=-1.0, v_max=1.0),
    ],
    ids=["q_values", "action", "categorical"],
)
def test_comes_back_from_json(architecture: architecture_lib.PolicyArchitecture):
    value = json.loads(json.dumps(architecture.to_json()))
    assert architecture_lib.PolicyArchitecture.from_json(value) == architecture


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"activation": "gelu"}, "activation is 'gelu', needs one of relu, tanh", id="activation"),
        pytest.param({"head": "value"}, "head is 'value'", id="head"),
        pytest.param({"hidden_sizes": ()}, "sizes must be positive", id="no hidden layer"),
        pytest.param({"hidden_sizes": (4, 0)}, "sizes must be positive", id="empty layer"),
        pytest.param({"observation_size": 0}, "sizes must be positive", id="no observations"),
        pytest.param({"action_low": (0.0,), "action_high": (1.0,)}, "has no action bounds", id="bounds for Q values"),
        pytest.param({"head": "action"}, "needs action_low and action_high of length 3", id="action without bounds"),
        pytest.param(
            {"head": "action", "action_low": (0.0,), "action_high": (1.0,)}, "of length 3", id="too few bounds"
        ),
        pytest.param({"num_atoms": 0}, "num_atoms > 1 needs", id="no atom"),
        pytest.param({"num_atoms": 3, "v_min": 1.0, "v_max": 1.0}, "3 atoms on .1.0, 1.0.", id="no room for atoms"),
        pytest.param(
            {"head": "action", "action_low": (0.0,) * 3, "action_high": (1.0,) * 3, "num_atoms": 3, "v_max": 1.0},
            "for head 'action'",
            id="actions with atoms",
        ),
    ],
)
def test_refuses(changes: dict[str, Any], message: str):
    values = {"observation_size": 2, "hidden_sizes": (4,), "output_size": 3, "head": "q_values", **changes}
    with pytest.raises(ValueError, match=message):
        architecture_lib.PolicyArchitecture(**values)


def variables(architecture: architecture_lib.PolicyArchitecture) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in architecture.variable_shapes().items()}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("head/bias", None, r"missing: \['head/bias'\]", id="missing"),
        pytest.param("extra", np.zeros(1, np.float32), r"unknown: \['extra'\]", id="unknown"),
        pytest.param(
            "head/bias",
            np.zeros(2, np.float32),
            r"'head/bias' is float32\[2\], the network expects float32\[3\]",
            id="shape",
        ),
        pytest.param("head/bias", np.zeros(3), r"'head/bias' is float64\[3\]", id="dtype"),
    ],
)
def test_checks_variables(name: str, value: np.ndarray | None, message: str):
    architecture = architecture_lib.q_architecture(DISCRETE, (4,))
    values = variables(architecture)
    architecture.check_variables(values, "snapshot 42")
    if value is None:
        del values[name]
    else:
        values[name] = value
    with pytest.raises(ValueError, match=f"snapshot 42: .*{message}"):
        architecture.check_variables(values, "snapshot 42")


def test_forward_by_hand():
    architecture = architecture_lib.q_architecture(DISCRETE, (2,))
    values = variables(architecture)
    values["observation_scaling/offset"][:] = [1, 0]
    values["observation_scaling/scale"][:] = [2, 1]
    values["dense_0/kernel"][:] = [[1, -1], [0, 3]]
    values["dense_0/bias"][:] = [0, 1]
    values["head/kernel"][:] = [[1, 2, 3], [10, 20, 30]]
    values["head/bias"][:] = [0, 0, 5]
    result = numpy_policy.forward(architecture, values, np.float32([[2, 1], [0, 1]]))
    # (2 - 1) * 2 = 2 and (0 - 1) * 2 = -2; relu(2), relu(-2 + 3 + 1) and relu(-2), relu(2 + 3 + 1).
    np.testing.assert_array_equal(result["scaled_observation"], [[2, 1], [-2, 1]])
    np.testing.assert_array_equal(result["dense_0"], [[2, 2], [0, 6]])
    np.testing.assert_array_equal(result["head"], [[22, 44, 71], [60, 120, 185]])
    np.testing.assert_array_equal(result["output"], result["head"])


def test_action_head_fills_the_bounds():
    architecture = architecture_lib.action_architecture(CONTINUOUS, (1,), "tanh")
    values = variables(architecture)
    values["observation_scaling/scale"][:] = 1
    values["dense_0/kernel"][:] = [[1], [0]]
    values["head/kernel"][:] = 100
    result = numpy_policy.forward(architecture, values, np.float32([[9, 0], [-9, 0], [0, 0]]))
    np.testing.assert_allclose(result["output"], [[3], [-1], [1]], atol=1e-6)
    np.testing.assert_allclose(result["dense_0"][0], np.tanh(9), rtol=1e-6)
