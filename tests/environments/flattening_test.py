"""Tests of environments/flattening.py."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import flattening


def _spec(*shapes: tuple[str, tuple[int, ...]]) -> environment_spec.EnvironmentSpec:
    fields, offset = [], 0
    for name, shape in shapes:
        fields.append(environment_spec.ObservationField(name, shape, offset))
        offset += fields[-1].size
    return environment_spec.EnvironmentSpec("my:task", tuple(fields), num_actions=2)


def test_array_is_flattened_by_rows_into_a_new_array() -> None:
    flatten = flattening.ArrayFlattener(_spec(("observation", (2, 2)))).flatten
    given = np.array([[1, 2], [3, 4]], np.float64)
    flat = flatten(given)
    given[:] = 0
    assert flat.dtype == np.float32 and flat.tolist() == [1, 2, 3, 4]
    with pytest.raises(errors.TaskError, match=r"\(4,\).*\(2, 2\)"):
        flatten(np.zeros(4))


def test_a_float32_vector_is_copied() -> None:
    given = np.array([1, 2], np.float32)
    flat = flattening.ArrayFlattener(_spec(("observation", (2,)))).flatten(given)
    given[:] = 0
    assert flat.tolist() == [1, 2]


def test_mapping_is_flattened_in_the_order_of_the_fields_into_new_arrays() -> None:
    flattener = flattening.MappingFlattener(_spec(("height", ()), ("joints", (2, 2)), ("touch", (1,))))
    first = flattener.flatten({"joints": [[1, 2], [3, 4]], "touch": [True], "height": 0.5})
    second = flattener.flatten({"joints": np.zeros((2, 2)), "touch": np.zeros(1), "height": np.float64(9)})
    assert first.dtype == np.float32 and first.tolist() == [0.5, 1, 2, 3, 4, 1]
    assert second.tolist() == [9, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param({"height": 1.0}, id="missing"),
        pytest.param({"height": 1.0, "joints": np.zeros(2), "more": 1.0}, id="unknown"),
        pytest.param({"height": 1.0, "joints": np.zeros(3)}, id="other shape"),
        pytest.param({"height": 1.0, "joints": 0.0}, id="one that would be broadcast"),
        pytest.param(np.zeros(3), id="no dictionary"),
    ],
)
def test_check_refuses_what_was_not_stated(observation: Any) -> None:
    flattener = flattening.MappingFlattener(_spec(("height", ()), ("joints", (2,))))
    flattener.check({"height": 1.0, "joints": np.zeros(2)})
    with pytest.raises(errors.TaskError, match="my:task"):
        flattener.check(observation)
