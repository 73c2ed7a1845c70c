"""The operators of a quantized policy with the float weights in them: what each would give if nothing were quantized."""

from collections.abc import Mapping

import numpy as np

from tfquarl.core import errors
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import tensor_probe


class FloatGraph:
    """A chain of operators, each of which takes the result of the one before."""

    def __init__(self, model: bytes, layout: flatbuffer.ModelLayout, variables: Mapping[str, np.ndarray]) -> None:
        """Finds the chain and its constants.

        Args:
          model: a policy's flatbuffer.
          layout: of the model.
          variables: float ones by the names of its tensors; a constant without one is read from the model.

        Raises:
          ArtifactError: the operators are no chain.
        """
        self._constants = {
            tensor.name: tensor_probe.real_values(tensor, tensor.values(model))
            for tensor in layout.tensors
            if tensor.is_constant
        }
        for name, value in variables.items():
            self._constants[name] = value.T if name.endswith("/kernel") else value
        self._tensors = layout.tensors
        self.operators = _chain(layout)

    def apply(self, number: int, x: np.ndarray) -> np.ndarray:
        """The result [N, size] of operator `number` of the chain on the numbers `x` [N, size]."""
        operator = self.operators[number]
        constants = [self._constants[self._tensors[index].name] for index in operator.inputs[1:]]
        if operator.name == "FULLY_CONNECTED":
            kernel, bias = constants
            x = x @ kernel.T + bias
        elif operator.name in ("ADD", "SUB", "MUL"):
            x = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[operator.name](x, constants[0])
        elif operator.name == "TANH":
            x = np.tanh(x)
        elif operator.name == "RESHAPE":
            x = x.reshape(constants[0].astype(int))
        elif operator.name == "SOFTMAX":
            masses = np.exp(x - x.max(axis=1, keepdims=True))
            x = masses / masses.sum(axis=1, keepdims=True)
        elif operator.name == "SUM":
            x = x.sum(axis=1, keepdims=True)
        return np.maximum(x, 0) if operator.activation == "relu" else x

    def run(self, x: np.ndarray, start: int = 0) -> list[np.ndarray]:
        """`x` [N, size] and the results of the operators from number `start` on, one after another."""
        values = [x]
        for number in range(start, len(self.operators)):
            values.append(self.apply(number, values[-1]))
        return values


def _chain(layout: flatbuffer.ModelLayout) -> tuple[flatbuffer.Operator, ...]:
    chain, last = [], layout.input
    for operator in layout.operators:
        if operator.inputs[0] == last:
            chain.append(operator)
            last = operator.outputs[0]
        elif not layout.tensors[operator.inputs[0]].is_constant:
            name = layout.tensors[operator.outputs[0]].name
            raise errors.ArtifactError(f"model: '{name}' is not computed from the operator before; no policy is so")
    if last != layout.output:
        raise errors.ArtifactError("model: its output is not what the last operator gives; no policy is so")
    return tuple(chain)
