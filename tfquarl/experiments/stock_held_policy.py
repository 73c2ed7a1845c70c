"""A TF-Agents policy whose random actions are held for a random time, which TF-Agents itself does not have."""

from typing import Any

import numpy as np
from tf_agents.policies import py_policy
from tf_agents.trajectories import policy_step

from tfquarl.core import interfaces


class HeldEpsilonGreedyPolicy(py_policy.PyPolicy):
    """A greedy `PyPolicy` of one environment, with this project's held random actions around it.

    Distribution, schedule and random numbers are those of this project's collectors, so that all arms explore alike.
    """

    def __init__(self, greedy: py_policy.PyPolicy, exploration: interfaces.Exploration, num_actions: int) -> None:
        """Stores the parts.

        Args:
          greedy: gives the action of the largest value, without a batch dimension.
          exploration: `exploration.HeldEpsilonGreedy`; is asked once for each step of the environment.
          num_actions: of the environment.
        """
        super().__init__(greedy.time_step_spec, greedy.action_spec, greedy.policy_state_spec, greedy.info_spec)
        self._greedy, self._exploration = greedy, exploration
        self._one_hot = np.eye(num_actions, dtype=np.float32)

    def _action(self, time_step: Any, policy_state: Any, seed: Any = None) -> policy_step.PolicyStep:
        """The greedy action or a random one; nothing is drawn at an episode's end, where the driver resets whatever comes."""
        step: Any = self._greedy.action(time_step, policy_state, seed)
        if time_step.is_last():
            return step
        explored = self._exploration(self._one_hot[[int(step.action)]])
        return step._replace(action=np.asarray(explored[0], step.action.dtype))
