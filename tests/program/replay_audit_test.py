"""Tests of `tfquarl.program.replay_audit`."""

import numpy as np
import pytest

from tfquarl.environments import registry
from tfquarl.program import gin_loading
from tfquarl.program import replay_audit

_LOADED = gin_loading.load(
    ["configs/gin/experiments/dqn_cartpole_int8.gin"], ["DqnBuilder.n_step = 2", "DqnBuilder.discount = 0.5"]
)


def _row(action=1.0, reward=1.5, discount=0.5, position=0.0):
    """Two steps of reward 1 at gamma 0.5: reward 1.5, discount 0.5."""
    return [position, 0.0, 0.0, 0.0, action, reward, discount, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        pytest.param(_row(), None, id="two_steps"),
        pytest.param(_row(discount=0.0), None, id="two_steps_to_the_end"),
        pytest.param(_row(reward=1.0, discount=1.0), None, id="one_step_to_a_time_limit"),
        pytest.param(_row(reward=0.0), "reward 0.0 is that of no number", id="no_reward"),
        pytest.param(_row(reward=1.0, discount=0.5), "does not fit a window of 1 steps", id="another_windows_discount"),
        pytest.param(_row(action=0.5), "action 0.5 is none of 2", id="no_action"),
        pytest.param(_row(action=2.0), "action 2.0 is none of 2", id="an_action_too_many"),
        pytest.param(_row(position=np.nan), "not finite", id="nan"),
        pytest.param(_row(position=7.0), "far", id="by_the_environments_own_check"),
    ],
)
def test_what_must_hold_of_a_transition(row, fault):
    spec = registry.spec("gym:CartPole-v1")
    found = replay_audit.faults(
        np.array([row], np.float32), _LOADED.experiment, spec, lambda before, *_: "far" if before[0] > 5 else None
    )
    assert found == [] if fault is None else len(found) == 1 and fault in found[0]
