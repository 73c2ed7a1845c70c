"""Observations that can't be used are refused, each with a line that says why."""

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.export import candidate
from tfquarl.quantization import recipe
from tfquarl.testing import tiny_policies


def _good() -> np.ndarray:
    return np.arange(64, dtype=np.float32).reshape(32, 2)


def _with(value: float, row: int = 5, features: slice = slice(1, 2)) -> np.ndarray:
    observations = _good()
    observations[row, features] = value
    return observations


@pytest.mark.parametrize("count", [32, 16], ids=["more than enough", "just enough"])
def test_good_observations_pass(count: int):
    candidate.check_observations(_good()[:count], 2, "they")


@pytest.mark.parametrize(
    ("observations", "complaint"),
    [
        (_good()[:3], "they are 3, needs at least 16"),
        (_good().reshape(-1), r"they have shape \[64\], the policy needs \[N, 2\]"),
        (np.zeros((32, 3), np.float32), r"they have shape \[32, 3\], the policy needs \[N, 2\]"),
        (_with(np.nan), "they hold nan in row 5, feature 1, and 0 more"),
        (_with(np.nan, 3, slice(2)), "they hold nan in row 3, feature 0, and 1 more"),
        (_with(np.inf), "they hold inf in row 5, feature 1"),
        (np.ones((32, 2), np.float32), "they are all the same"),
    ],
    ids=["too few", "flat", "another policy's", "NaN", "a row of NaN", "infinite", "constant"],
)
def test_observations_that_cannot_be_used(observations: np.ndarray, complaint: str):
    with pytest.raises(errors.ConfigError, match=complaint):
        candidate.check_observations(observations, 2, "they")


def test_a_recipe_that_could_not_be_made_is_told_with_its_reason():
    with pytest.raises(errors.ConversionError, match="recipe 'static_wi8_ai8' could not be made: no such op"):
        candidate.PolicyCandidate(
            "arm",
            tiny_policies.ARM_SPEC,
            "action",
            recipe.static_wi8_ai8(),
            {"float32": b""},
            {"static_wi8_ai8": "no such op"},
            _good(),
            {},
        )
