"""What the converter and the child process of the reference path say to one another: frames of a length and bytes."""

from collections.abc import Mapping
import dataclasses
import io
import json
import struct
from typing import IO

import numpy as np

from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib

_LENGTH = struct.Struct("<Q")
_MODEL, _ERROR = b"m", b"e"


@dataclasses.dataclass(frozen=True)
class ConversionRequest:
    """What `reference_path.convert` takes."""

    architecture: architecture_lib.PolicyArchitecture
    recipe: recipe_lib.Recipe
    variables: Mapping[str, np.ndarray]
    observations: np.ndarray | None
    scale_observations: bool


def pack_request(request: ConversionRequest) -> bytes:
    """The request as bytes: an archive of arrays, the first of which is a JSON header."""
    header = {
        "architecture": request.architecture.to_json(),
        "recipe": request.recipe.name,
        "io": request.recipe.io,
        "scale_observations": request.scale_observations,
    }
    arrays = {f"variables/{name}": value for name, value in request.variables.items()}
    if request.observations is not None:
        arrays["observations"] = request.observations
    target = io.BytesIO()
    np.savez(target, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
    return target.getvalue()


def unpack_request(data: bytes) -> ConversionRequest:
    """The request that `pack_request` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        header = json.loads(arrays["header"].tobytes())
        variables = {
            name.removeprefix("variables/"): arrays[name] for name in arrays.files if name.startswith("variables/")
        }
        observations = arrays["observations"] if "observations" in arrays.files else None
    return ConversionRequest(
        architecture_lib.PolicyArchitecture.from_json(header["architecture"]),
        recipe_lib.from_name(header["recipe"], header["io"]),
        variables,
        observations,
        header["scale_observations"],
    )


def pack_model(model: bytes) -> bytes:
    """The answer that holds a model."""
    return _MODEL + model


def pack_error(message: str) -> bytes:
    """The answer that says why there is no model."""
    return _ERROR + message.encode()


def unpack_answer(data: bytes) -> bytes:
    """The model in an answer.

    Raises:
      ConversionError: the answer is an error.
    """
    if data[:1] == _ERROR:
        raise errors.ConversionError(f"TFLiteConverter: {data[1:].decode(errors='replace')}")
    return data[1:]


def write_frame(target: IO[bytes], data: bytes) -> None:
    """Writes one frame."""
    target.write(_LENGTH.pack(len(data)))
    target.write(data)
    target.flush()


def read_frame(source: IO[bytes]) -> bytes | None:
    """The next frame, or None where the other side has ended."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = source.read(length)
    return data if len(data) == length else None
