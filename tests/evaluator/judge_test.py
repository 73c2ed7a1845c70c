"""Tests of evaluator/judge.py."""

import threading

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.evaluator import judge
from tfquarl.testing import collector_fakes
from tfquarl.testing import scripted_environment


class _Rig:
    """A judge of one-step episodes, where the return is the remainder of the seed by 1000."""

    def __init__(self, num_environments: int = 1, seed: int = 0) -> None:
        self.environments: list[scripted_environment.ScriptedEnvironment] = []
        self.batch_sizes: list[int] = []
        self.judge = judge.Judge(self._make_environment, self._make_policy, num_environments, seed)

    def _make_environment(self, seed: int) -> interfaces.SeedableEnvironment:
        script = [[(float(number), "terminated")] for number in range(1000)]
        self.environments.append(scripted_environment.ScriptedEnvironment(script))
        return self.environments[-1]

    def _make_policy(self, artifact: records.PolicyArtifact, batch_size: int) -> interfaces.Policy:
        if artifact.model == b"bad":
            raise errors.ArtifactError("model: the runtime refuses it")
        self.batch_sizes.append(batch_size)
        return lambda observations: np.zeros((len(observations), 2), np.float32)

    def returns(self, series: int, num_episodes: int = 30) -> list[float]:
        estimate = self.judge.estimate(collector_fakes.artifact(1), num_episodes, series)
        assert estimate is not None
        return list(estimate.returns)


def test_the_number_of_a_series_and_the_seed_decide_its_episodes() -> None:
    rig, other_seed, wide = _Rig(), _Rig(seed=1), _Rig(num_environments=4)
    first = rig.returns(0)
    assert first == rig.returns(0) == wide.returns(0)
    assert first[:10] == rig.returns(0, num_episodes=10)
    assert len({tuple(first), tuple(rig.returns(1)), tuple(other_seed.returns(0))}) == 3


def test_environments_are_made_once_and_closed() -> None:
    rig = _Rig(num_environments=2)
    assert not rig.environments
    rig.returns(0)
    rig.returns(1)
    assert len(rig.environments) == 2 and rig.batch_sizes == [2, 2]
    rig.judge.close()
    assert [environment.tape[-1] for environment in rig.environments] == [("close",)] * 2


def test_stop_and_bad_artifacts() -> None:
    rig, stop = _Rig(), threading.Event()
    stop.set()
    assert rig.judge.estimate(collector_fakes.artifact(1), 5, 0, stop) is None
    with pytest.raises(errors.ArtifactError, match="refuses"):
        rig.judge.estimate(collector_fakes.artifact(1, model=b"bad"), 5, 0)
