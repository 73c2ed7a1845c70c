"""Tests of evaluator/video.py."""

import pathlib

from imageio import v2 as imageio
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.evaluator import video
from tfquarl.testing import scripted_environment


def _policy(observations: np.ndarray) -> np.ndarray:
    return np.array([[0.0, 1.0]], np.float32)


@pytest.mark.parametrize("suffix", video.SUFFIXES)
def test_a_film_has_a_frame_for_every_state(tmp_path: pathlib.Path, suffix: str) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 4 + [(2.0, "terminated")]])
    path = tmp_path / f"film{suffix}"
    episode = video.record(environment, _policy, path, seed=0)
    assert episode == video.FilmedEpisode(6.0, 5, True) and episode.describe() == "an episode with return 6.0"
    assert environment.tape == [("seed", 0), ("reset",)] + [("step", 1)] * 5
    frames = list(imageio.get_reader(path).iter_data())
    assert len(frames) == 6 and frames[0].shape[:2] == (32, 48)


def test_a_long_episode_is_cut(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 100])
    path = tmp_path / "film.gif"
    episode = video.record(environment, _policy, path, seed=0, max_steps=6)
    assert episode == video.FilmedEpisode(6.0, 6, False)
    assert episode.describe() == "the first 6 steps of an episode, return so far 6.0"
    assert len(list(imageio.get_reader(path))) == 7


def test_an_episode_of_as_many_steps_as_the_film_is_whole(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 5 + [(1.0, "truncated")]])
    episode = video.record(environment, _policy, tmp_path / "film.gif", seed=0, max_steps=6)
    assert episode == video.FilmedEpisode(6.0, 6, True)


class _Failing(scripted_environment.ScriptedEnvironment):
    """Can't take its third step, or can't be drawn."""

    def __init__(self, can_be_drawn: bool) -> None:
        super().__init__([[(1.0, "")] * 2])
        self._can_be_drawn = can_be_drawn

    def step(self, action):
        if self.tape.count(("step", 1)) == 2:
            raise ValueError("no third step")
        return super().step(action)

    def render(self) -> np.ndarray:
        if not self._can_be_drawn:
            raise errors.TaskError("can't be drawn")
        return super().render()


@pytest.mark.parametrize("suffix", video.SUFFIXES)
@pytest.mark.parametrize(
    "can_be_drawn, error, match",
    [
        pytest.param(True, ValueError, "^no third step$", id="step"),
        pytest.param(False, errors.TaskError, "^can't be drawn$", id="picture"),
    ],
)
def test_a_film_that_fails_leaves_the_one_that_was_there_and_the_failure_its_own(
    tmp_path: pathlib.Path, suffix: str, can_be_drawn: bool, error: type[Exception], match: str
) -> None:
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"the film before")
    with pytest.raises(error, match=match):
        video.record(_Failing(can_be_drawn), _policy, path, seed=0)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"the film before"


@pytest.mark.parametrize(("suffix", "name", "value"), [(".mp4", "fps", 25), (".gif", "duration", 40)])
def test_a_film_plays_at_its_speed(tmp_path: pathlib.Path, suffix: str, name: str, value: float) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 100])
    path = tmp_path / f"film{suffix}"
    video.record(environment, _policy, path, seed=0, max_steps=5, frames_per_second=25)
    assert imageio.get_reader(path).get_meta_data()[name] == value  # a frame of 25 in a second lasts 40 ms


def test_other_suffixes_are_refused_before_anything_is_played(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([])
    with pytest.raises(errors.ConfigError, match=r"film\.txt.*\.mp4 or \.gif"):
        video.record(environment, _policy, tmp_path / "film.txt", seed=0)
    assert not environment.tape


def test_a_place_that_cannot_be_written_names_the_film(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "terminated")]])
    with pytest.raises(errors.TaskError, match=r"film\.gif"):
        video.record(environment, _policy, tmp_path / "nowhere" / "film.gif", seed=0)
