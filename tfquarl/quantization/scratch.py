"""Arrays that a computation keeps from one time to the next, because memory that the system has just given is slow to touch first."""

import math

import numpy as np
import numpy.typing as npt


class Scratch:
    """One buffer per name, which grows as needed. Whoever takes an array again by its name overwrites what is there.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> np.ndarray:
        """An array with any values in it, contiguous.

        Args:
          name: of the buffer.
          shape: of the array.
          dtype: of the array, and of all others of this name.
        """
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)
