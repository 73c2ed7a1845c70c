"""Turns what an environment gives into a flat float32 observation that nothing writes to again."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors


class ArrayFlattener:
    """Flattens one array, row-major."""

    def __init__(self, spec: environment_spec.EnvironmentSpec) -> None:
        self._name = spec.name
        self._shape = spec.observation_fields[0].shape
        self._is_flat = len(self._shape) == 1

    def check(self, observation: Any) -> None:
        """Nothing: `flatten` looks at every observation."""

    def flatten(self, observation: Any) -> np.ndarray:
        """A new float32 [D].

        Raises:
          TaskError: `observation` has another shape than the environment stated.
        """
        flat = np.array(observation, np.float32)
        if flat.shape != self._shape:
            raise errors.TaskError(
                f"{self._name}: gave an observation of shape {flat.shape}, its space says {self._shape}"
            )
        return flat if self._is_flat else flat.reshape(-1)


class MappingFlattener:
    """Flattens a dictionary of arrays, in the order of the observation fields, each row-major.

    Values are gathered in a float64 buffer, so that a step makes one new array and no list.
    """

    def __init__(self, spec: environment_spec.EnvironmentSpec) -> None:
        self._name = spec.name
        self._fields = spec.observation_fields
        self._buffer = np.zeros(spec.observation_size, np.float64)
        self._parts = tuple(
            (field.name, self._buffer[field.offset : field.offset + field.size].reshape(field.shape))
            for field in self._fields
        )

    def check(self, observation: Any) -> None:
        """Checks names and shapes, once per episode; the steps rely on it.

        Raises:
          TaskError: `observation` is no dictionary, or has other names or shapes than the environment stated.
        """
        if not isinstance(observation, Mapping):
            raise errors.TaskError(f"{self._name}: gave a {type(observation).__name__}, its spec says a dictionary")
        got = {name: np.shape(value) for name, value in observation.items()}
        stated = {field.name: field.shape for field in self._fields}
        if got != stated:
            raise errors.TaskError(f"{self._name}: gave observations {got}, its spec says {stated}")

    def flatten(self, observation: Mapping[str, Any]) -> np.ndarray:
        """A new float32 [D]."""
        for name, part in self._parts:
            part[...] = observation[name]
        return self._buffer.astype(np.float32)
