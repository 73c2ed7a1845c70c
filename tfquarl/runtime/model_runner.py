"""One observation at a time through any TFLite model, in the model's own types, with the kernels of one's choice.

`PolicyInterpreter` is for policies that arrive over a network; this is for files that were made or checked here, whatever their
operators.
"""

import types
import warnings

from ai_edge_litert import interpreter as litert
import numpy as np

from tfquarl.core import errors

KERNELS = ("xnnpack", "builtin")


class ModelRunner:
    """A model with one input [1, D] and one output [1, O], ready to run on one thread."""

    def __init__(self, model: bytes, kernels: str = "xnnpack", library: types.ModuleType = litert) -> None:
        """Prepares the model.

        Args:
          model: the flatbuffer.
          kernels: 'xnnpack', which TFLite uses where it can, or 'builtin', TFLite's own for every operator.
          library: module with TFLite's `Interpreter` and `OpResolverType`.

        Raises:
          ArtifactError: bytes that are no TFLite model, or one that this runtime refuses.
        """
        if kernels not in KERNELS:
            raise ValueError(f"kernels are '{kernels}', needs one of {', '.join(KERNELS)}")
        resolver = library.OpResolverType
        kind = resolver.AUTO if kernels == "xnnpack" else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._interpreter = library.Interpreter(
                    model_content=model, num_threads=1, experimental_op_resolver_type=kind
                )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise errors.ArtifactError(f"the runtime refuses the model: {_first_line(error)}") from error
        self._input_index, self._output_index = self._only_tensor("input"), self._only_tensor("output")
        # Held views make a call as cheap as a C++ one: the public set_tensor and get_tensor cost 3 us.
        native = self._interpreter._interpreter
        self._input = native.tensor(self._interpreter, self._input_index, 0)
        self._output = native.tensor(self._interpreter, self._output_index, 0)
        self._invoke = native.Invoke

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Output [1, O] of the input [1, D], in the model's types; valid until the next call."""
        self._input[...] = inputs
        self._invoke()
        return self._output

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs [N, O] of inputs [N, D], one after another."""
        return np.concatenate([self(row[np.newaxis]).copy() for row in inputs])

    def _only_tensor(self, side: str) -> int:
        details = getattr(self._interpreter, f"get_{side}_details")()
        if len(details) != 1 or len(details[0]["shape"]) != 2 or details[0]["shape"][0] != 1:
            shapes = [list(map(int, detail["shape"])) for detail in details]
            raise errors.ArtifactError(f"the model's {side} shapes are {shapes}, a policy needs one of [1, size]")
        return int(details[0]["index"])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
