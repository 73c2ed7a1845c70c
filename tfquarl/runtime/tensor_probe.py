"""Every value between the layers of a policy, read after a call: for finding out where quantization loses."""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.core import errors
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter


@dataclasses.dataclass(frozen=True)
class ProbedTensor:
    """The values that one computed tensor took.

    Attributes:
      tensor: it.
      stored: its values in its own type, [N, size].
    """

    tensor: flatbuffer.Tensor
    stored: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """The numbers that `stored` stands for, float32 [N, size]."""
        return real_values(self.tensor, self.stored)


def probe(model: bytes, observations: np.ndarray) -> Mapping[int, ProbedTensor]:
    """Runs the policy and keeps the input and every operator's result, by tensor index in the order of execution.

    TFLite's own kernels compute them: XNNPACK, which collectors use, doesn't give values between layers away, and rounds a few of
    them to the neighbouring integer.

    Args:
      model: a policy's flatbuffer.
      observations: float32 [N, D].

    Raises:
      ArtifactError: bytes that are not a policy or that the runtime refuses.
    """
    layout = interpreter.check_structure(model)
    source = layout.tensors[layout.input]
    if observations.ndim != 2 or observations.shape[1] != source.shape[1]:
        raise ValueError(f"observations have shape {observations.shape}, the policy needs [N, {source.shape[1]}]")
    runner = interpreter.make_interpreter(model, layout, len(observations), keeps_values=True)
    stored = _encode(source, observations)
    runner.set_tensor(source.index, stored)
    try:
        runner.invoke()
    except (RuntimeError, ValueError) as error:
        raise errors.ArtifactError(f"model: the runtime can't run it: {error}; was it altered?") from error
    probed = {source.index: ProbedTensor(source, stored)}
    for operator in layout.operators:
        if operator.inputs[0] in probed:  # others widen constants
            (index,) = operator.outputs
            probed[index] = ProbedTensor(layout.tensors[index], runner.get_tensor(index))
    return probed


def real_values(tensor: flatbuffer.Tensor, stored: np.ndarray) -> np.ndarray:
    """The numbers, float32, that values `stored` in the type of `tensor` stand for; scales of its own for each row where it has them."""
    if not tensor.scales:
        return stored.astype(np.float32)
    scales, zero_points = np.asarray(tensor.scales, np.float32), np.asarray(tensor.zero_points)
    if len(scales) > 1:
        rows = (len(scales),) + (1,) * (stored.ndim - 1)
        scales, zero_points = scales.reshape(rows), zero_points.reshape(rows)
    return ((stored.astype(np.int64) - zero_points) * scales).astype(np.float32)


def _encode(tensor: flatbuffer.Tensor, observations: np.ndarray) -> np.ndarray:
    if not tensor.scales:
        return observations.astype(tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(observations / np.float32(tensor.scales[0])) + tensor.zero_points[0]
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)
