"""The baseline: collection as a user of TF-Agents writes it, tuned as far as its own parts allow.

`PyDriver` steps a `suite_gym` or `suite_dm_control` environment by a `PyTFEagerPolicy` with `tf.function`, and a
`ReverbAddTrajectoryObserver` writes two-step trajectories. TensorFlow has one thread; there is no wrapper that the agent does not
need; weights are those of the policy that it is compared with.
"""

from collections.abc import Mapping
import time
from typing import Any

import numpy as np

from tfquarl.experiments import alternation
from tfquarl.experiments import stock_agent

TABLE = "stock"
_FIRST_STEPS = 32
_MAX_STEPS_PER_CALL = 512
_CALL_SEC = 0.05


class StockCollector:
    """TF-Agents' collector as an `alternation.Arm` that counts environment steps."""

    def __init__(self, environment: Any, policy: Any, observer: Any) -> None:
        """Makes the driver.

        Args:
          environment: a `PyEnvironment`.
          policy: a `PyPolicy`.
          observer: takes trajectories.
        """
        self._environment, self._policy, self._observer = environment, policy, observer
        self._time_step = environment.reset()
        self._policy_state = policy.get_initial_state(0)
        self._steps_per_call = _FIRST_STEPS

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        from tf_agents.drivers import py_driver

        steps = self._steps_per_call
        driver = py_driver.PyDriver(self._environment, self._policy, [self._observer], max_steps=steps)
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            self._time_step, self._policy_state = driver.run(self._time_step, self._policy_state)
            count += steps
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                self._steps_per_call = max(1, min(_MAX_STEPS_PER_CALL, int(_CALL_SEC * count / elapsed)))
                return alternation.Slice(count, elapsed, time.process_time() - cpu)


def make(name: str, hidden_sizes: tuple[int, ...], variables: Mapping[str, np.ndarray], address: str) -> StockCollector:
    """The collector of the environment called `name`; imports TensorFlow.

    Args:
      name: of the environment.
      hidden_sizes: of the policy.
      variables: its weights, by the names of `PolicyArchitecture.variable_shapes`.
      address: of a Reverb server with a table `TABLE`.
    """
    import tensorflow as tf
    from tf_agents.policies import py_tf_eager_policy
    from tf_agents.replay_buffers import reverb_replay_buffer
    from tf_agents.replay_buffers import reverb_utils

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    environment = stock_agent.load_environment(name)
    agent = stock_agent.make_agent(environment.time_step_spec(), environment.action_spec(), hidden_sizes)
    stock_agent.set_policy_weights(agent, variables)
    policy = py_tf_eager_policy.PyTFEagerPolicy(agent.collect_policy, use_tf_function=True)
    replay = reverb_replay_buffer.ReverbReplayBuffer(
        agent.collect_data_spec, table_name=TABLE, sequence_length=2, server_address=address
    )
    observer = reverb_utils.ReverbAddTrajectoryObserver(replay.py_client, TABLE, sequence_length=2, stride_length=1)
    return StockCollector(environment, policy, observer)
