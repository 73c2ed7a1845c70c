"""What follows the last layer of an integer core, such as the tanh of an action: how many output steps one step of that layer is.

Where a tanh is steep and the last layer's values reach far beyond [-1, 1], one step of them is many steps of the output, and two runtimes
that differ by one rounding differ by all of those. Where the tanh is flat, one step is nothing.
"""

import dataclasses

import numpy as np

from tfquarl.runtime import integer_core
from tfquarl.runtime import model_runner

# What acts on each value alone; beside the value it takes constants.
_ELEMENTWISE = ("ADD", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "QUANTIZE", "RELU", "RELU6", "SUB", "TANH")


@dataclasses.dataclass(frozen=True)
class OutputTail:
    """The operators behind the last layer.

    Attributes:
      table: the output's integer for each integer that the last layer may give, from the lowest on, [256 or 65536, O].
      num_operators: behind the last layer; each of them rounds.
      num_layers: operators up to the last layer, the last layer too; each of them rounds.
    """

    table: np.ndarray
    num_operators: int
    num_layers: int

    def reach(self, outputs: np.ndarray, layer_steps: int) -> np.ndarray:
        """Output steps [N, O] by which outputs may move where the last layer's values move by so many steps.

        Args:
          outputs: integers of the output, [N, O].
          layer_steps: by which the values before the tail are off, up or down.
        """
        table = self.table.astype(np.int64)
        codes = np.arange(len(table))
        up, down = (table[np.clip(codes + step, 0, len(codes) - 1)] for step in (layer_steps, -layer_steps))
        moved = np.maximum(np.abs(up - table), np.abs(down - table))
        columns = [_largest_at(table[:, i], moved[:, i], outputs[:, i]) for i in range(table.shape[1])]
        return np.stack(columns, axis=1)


class TailGraph(integer_core.PolicyGraph):
    """A model, open for what follows the last layer of its integer core."""

    def read_tail(self) -> OutputTail | None:
        """The tail; None where the model has no integer core."""
        front = self._ends(self.input, "QUANTIZE", self._consumer)
        back = self._ends(self.output, "DEQUANTIZE", self._producer)
        if front is None or back is None or self.find_core() is None:
            return None
        first, last = front[0], back[0]
        layer = self._last_layer(first, last)
        behind, before = self._between(layer, last), self._between(first, layer)
        limits = np.iinfo(integer_core.DTYPES[self.tensor(layer).type])
        codes = np.arange(limits.min, limits.max + 1, dtype=limits.dtype)[:, np.newaxis]
        table = np.repeat(codes, int(self.tensor(layer).shape[-1]), axis=1)
        if behind:
            self._keep(layer, last)
            self.name_signature("layer", "output")
            table = model_runner.ModelRunner(self.to_bytes()).run(table)
        return OutputTail(table, len(behind), len(before))

    def _last_layer(self, first: int, last: int) -> int:
        """The tensor that nothing but elementwise operators with constants separates from tensor `last`."""
        index = last
        while index != first:
            found = self._producer(index)
            if found is None or found[0] not in _ELEMENTWISE:
                return index
            data, *others = (int(i) for i in found[1].inputs)
            if not all(self._is_constant(other) for other in others):
                return index
            index = data
        return index

    def _is_constant(self, index: int) -> bool:
        content = self._model.buffers[self.tensor(index).buffer].data
        return content is not None and len(content) > 0


def _largest_at(table: np.ndarray, moved: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """For each output [N] the largest of `moved` [S] among those whose `table` [S] value is that output, or the nearest one."""
    values, where = np.unique(table, return_inverse=True)
    largest = np.zeros(len(values), np.int64)
    np.maximum.at(largest, where, moved)
    middles = (values[1:] + values[:-1]) / 2
    return largest[np.searchsorted(middles, outputs)]
