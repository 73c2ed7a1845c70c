"""An environment alone, by the actions that a collector takes there: the limit of every collector."""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any

import numpy as np

from tfquarl.environments import registry
from tfquarl.experiments import alternation

_STEPS_PER_CHECK = 32


class EnvironmentArm:
    """Steps one environment, resetting it where an episode ends."""

    def __init__(self, step: Callable[[Any], bool], reset: Callable[[], object], actions: Sequence[Any]) -> None:
        """Stores its parts.

        Args:
          step: takes an action; whether the episode ended.
          reset: begins an episode.
          actions: taken in turn.
        """
        self._step, self._reset, self._actions = step, reset, actions
        self._next = 0
        reset()

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`; counts steps."""
        step, reset, actions = self._step, self._reset, self._actions
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            chunk = actions[self._next : self._next + _STEPS_PER_CHECK]
            for action in chunk:
                if step(action):
                    reset()
            self._next = (self._next + len(chunk)) % len(actions)
            count += len(chunk)
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                return alternation.Slice(count, elapsed, time.process_time() - cpu)


def make_own(name: str, actions: Sequence[Any]) -> EnvironmentArm:
    """The environment called `name` as a collector has it, stepped by `actions`."""
    environment = registry.make(name, seed=0)
    step_one = environment.step

    def step(action: Any) -> bool:
        _, _, terminated, truncated = step_one(action)
        return terminated or truncated

    return EnvironmentArm(step, environment.reset, actions)


def make_native(name: str, actions: Sequence[Any]) -> EnvironmentArm:
    """The environment called `name` as its own suite gives it, with nothing of this project around it, stepped by `actions`."""
    suite, _, task = name.partition(":")
    if suite == "dm_control":
        from dm_control import suite as dm_suite

        domain, _, task_in_domain = task.partition("-")
        environment = dm_suite.load(domain, task_in_domain, task_kwargs={"random": 0})
        step_dm = environment.step
        return EnvironmentArm(lambda action: step_dm(action).last(), environment.reset, actions)
    if suite == "gym":
        import gym

        from tfquarl.environments import gym_suite

        made = gym.make(gym_suite.registered_id(task))
        step_gym = made.step
        return EnvironmentArm(lambda action: step_gym(action)[2], made.reset, actions)
    import gymnasium

    modern = gymnasium.make(task)
    step_modern = modern.step

    def step(action: Any) -> bool:
        _, _, terminated, truncated, _ = step_modern(action)
        return bool(terminated or truncated)

    return EnvironmentArm(step, modern.reset, actions)


def make_stock(name: str, actions: Sequence[Any]) -> EnvironmentArm:
    """The environment called `name` as TF-Agents' own suites give it, stepped by `actions`; imports TensorFlow."""
    from tfquarl.experiments import stock_agent

    environment = stock_agent.load_environment(name)
    step_stock, dtype = environment.step, environment.action_spec().dtype
    own_actions = [np.asarray(action, dtype) for action in actions]
    return EnvironmentArm(lambda action: bool(step_stock(action).is_last()), environment.reset, own_actions)
