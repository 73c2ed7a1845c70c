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
    assert video.record(environment, _policy, path, seed=0) == 6.0
    assert environment.tape == [("seed", 0), ("reset",)] + [("step", 1)] * 5
    frames = list(imageio.get_reader(path).iter_data())
    assert len(frames) == 6 and frames[0].shape[:2] == (32, 48)


def test_a_long_episode_is_cut(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 100])
    path = tmp_path / "film.gif"
    assert video.record(environment, _policy, path, seed=0, max_frames=7) == 6.0
    assert len(list(imageio.get_reader(path))) == 7


def test_other_suffixes_are_refused_before_anything_is_played(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([])
    with pytest.raises(errors.ConfigError, match=r"film\.txt.*\.mp4 or \.gif"):
        video.record(environment, _policy, tmp_path / "film.txt", seed=0)
    assert not environment.tape


def test_a_place_that_cannot_be_written_names_the_film(tmp_path: pathlib.Path) -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "terminated")]])
    with pytest.raises(errors.TaskError, match=r"film\.gif"):
        video.record(environment, _policy, tmp_path / "nowhere" / "film.gif", seed=0)
