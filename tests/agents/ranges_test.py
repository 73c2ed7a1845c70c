"""Tests of `tfquarl.agents.ranges` and of the builders that check their settings by it."""

import math

import pytest

from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.agents.dqn import builder as dqn_builder
from tfquarl.core import errors

_ATOMS = "v_min is 1.0 and v_max 1.0, needs v_min < v_max around the task's discounted returns"
_OF_BOTH = [
    ({"activation": "foo"}, "activation is 'foo', needs one of relu, tanh"),
    ({"n_step": 0}, "n_step is 0, needs 1 or more"),
    ({"discount": 2.0}, "discount is 2.0, needs a value in [0, 1]"),
    ({"discount": math.nan}, "discount is nan, needs a value in [0, 1]"),
    ({"adam_epsilon": 0.0}, "adam_epsilon is 0.0, needs a finite number above 0"),
    ({"gradient_clip_norm": -1.0}, "gradient_clip_norm is -1.0, needs a finite number above 0"),
    ({"target_update_period": 0}, "target_update_period is 0, needs 1 or more"),
    ({"target_update_tau": 0.0}, "target_update_tau is 0.0, needs a finite number above 0"),
    ({"target_update_tau": 1.5}, "target_update_tau is 1.5, needs a value in [0, 1]"),
    ({"num_atoms": 51, "v_min": 1.0, "v_max": 1.0}, _ATOMS),
    ({"num_atoms": 51, "v_min": -math.inf, "v_max": 1.0}, _ATOMS.replace("is 1.0", "is -inf")),
]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *_OF_BOTH,
        ({"hidden_sizes": ()}, "hidden_sizes is (), needs the units of one layer or more, each 1 or more"),
        ({"hidden_sizes": (8, -4)}, "hidden_sizes is (8, -4), needs the units of one layer or more, each 1 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0, needs a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf, needs a finite number above 0"),
        ({"final_learning_rate": -1.0}, "final_learning_rate is -1.0, needs a finite number, 0 or more"),
        ({"learning_rate_decay_steps": -1}, "learning_rate_decay_steps is -1, needs 0 or more"),
        ({"reward_scale": 0.0}, "reward_scale is 0.0, needs a finite number above 0"),
        ({"initial_value": math.inf}, "initial_value is inf, needs a finite number"),
        ({"num_atoms": 0}, "num_atoms is 0, needs 1 or more"),
        ({"epsilon_start": 7.0}, "epsilon_start is 7.0, needs a value in [0, 1]"),
        ({"epsilon_end": -0.1}, "epsilon_end is -0.1, needs a value in [0, 1]"),
        ({"epsilon_decay_steps": -1}, "epsilon_decay_steps is -1, needs 0 or more"),
        ({"epsilon_ladder": -1.0}, "epsilon_ladder is -1.0, needs a finite number, 0 or more"),
        ({"epsilon_hold_exponent": 1.0}, "epsilon_hold_exponent is 1.0, needs a finite number above 1, or None"),
    ],
)
def test_what_dqn_can_not_be_made_with(settings: dict, message: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        dqn_builder.DqnBuilder(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *_OF_BOTH,
        (
            {"policy_hidden_sizes": (0,)},
            "policy_hidden_sizes is (0,), needs the units of one layer or more, each 1 or more",
        ),
        (
            {"critic_hidden_sizes": ()},
            "critic_hidden_sizes is (), needs the units of one layer or more, each 1 or more",
        ),
        ({"critic_layer_norm": "last"}, "critic_layer_norm is 'last', needs one of none, first, all"),
        ({"compute_dtype": "int8"}, "compute_dtype is 'int8', needs one of float32, bfloat16"),
        ({"actor_learning_rate": 0.0}, "actor_learning_rate is 0.0, needs a finite number above 0"),
        ({"critic_learning_rate": -1.0}, "critic_learning_rate is -1.0, needs a finite number above 0"),
        ({"sigma_min": -0.1}, "sigma_min is -0.1, needs a finite number, 0 or more"),
        ({"sigma_max": math.nan}, "sigma_max is nan, needs a finite number, 0 or more"),
        ({"num_atoms": 1}, "num_atoms is 1, needs 2 or more"),
        (
            {"initial_value": 101.0},
            "initial_value is 101.0, needs a value in [0.0, 100.0], from v_min to v_max, or None",
        ),
    ],
)
def test_what_d4pg_can_not_be_made_with(settings: dict, message: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        d4pg_builder.D4pgBuilder(**settings)
    assert str(caught.value) == message


def test_what_is_at_the_edge_is_taken() -> None:
    edge = {"discount": 1.0, "gradient_clip_norm": None, "target_update_tau": 1.0, "n_step": 1}
    dqn_builder.DqnBuilder(**edge, epsilon_start=0.0, epsilon_end=0.0, epsilon_hold_exponent=None, v_min=1.0, v_max=0.0)
    d4pg_builder.D4pgBuilder(**edge, num_atoms=2, initial_value=100.0, sigma_min=0.0)
