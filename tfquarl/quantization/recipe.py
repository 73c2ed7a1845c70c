"""Quantization recipes: which tensors of a policy become integers, under names that can be decoded.

    static_wi8_ai8     static ranges found by calibration, weights int8, activations int8
    dynamic_wi8_afp32  ranges found anew at each inference, weights int8, activations float32 between the layers
    qat_wi4_ai8        trained with weights of 4 and activations of 8 bits; both lie in int8 containers
    ptq_wi4_ai8        the same widths without training for them; `bit_widths` has the whole grammar of both

Observation scaling and the map from [-1, 1] to the action bounds stay float in every recipe with float inputs and outputs.
"""

import dataclasses
import difflib

import numpy as np

from tfquarl.core import errors
from tfquarl.quantization import bit_widths

IO_TYPES = ("float32", "int8")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What the converter is asked for, and what the audit of its file checks.

    Attributes:
      name: the decodable name.
      weight_type: type of the stored weights: 'float32', 'float16' or 'int8'.
      activation_type: type of the values between layers: 'float32', 'int8' or 'int16'.
      bias_type: type of the stored biases: 'float32', 'float16', 'int32' or 'int64'.
      is_static: whether activation ranges are fixed in the file and need calibration observations.
      io: type of the model's input and output, 'float32' or 'int8'; 'int8' needs int8 activations.
      widths: bits of a low-bit recipe, whose values lie in the containers that the types above say; None for others.
      is_trained: whether the policy is trained with these widths (quantization-aware training).
    """

    name: str
    weight_type: str
    activation_type: str
    bias_type: str
    is_static: bool
    io: str = "float32"
    widths: bit_widths.BitWidths | None = None
    is_trained: bool = False

    def __post_init__(self) -> None:
        if self.io not in IO_TYPES:
            raise errors.ConfigError(f"recipe '{self.name}': io is '{self.io}', needs one of {', '.join(IO_TYPES)}")
        if self.io == "int8" and self.activation_type != "int8":
            raise errors.ConfigError(
                f"recipe '{self.name}': io 'int8' needs int8 activations, it has {self.activation_type}; use static_wi8_ai8"
            )
        if self.io == "int8" and self.widths is not None:
            raise errors.ConfigError(f"recipe '{self.name}' has float inputs and outputs only; io is 'int8'")

    @property
    def weight_bits(self) -> int:
        """Bits of one stored weight."""
        return np.dtype(self.weight_type).itemsize * 8

    @property
    def rounds_to_int8(self) -> bool:
        """Whether weights that were trained in float are rounded to int8; low-bit recipes come with scales of their own."""
        return self.weight_type == "int8" and self.widths is None

    @property
    def suits_categorical(self) -> bool:
        """Whether a categorical policy, which ends with a softmax in float32, can have it."""
        return self.widths is None and self.io == "float32"

    @property
    def needs_calibration(self) -> bool:
        """Whether conversion needs observations."""
        return self.is_static


def float32() -> Recipe:
    """No quantization: the policy as trained.

    Accuracy: exact up to the order of sums. Speed: limited by reading 4 bytes per weight. Runs everywhere. No calibration.
    """
    return Recipe("float32", "float32", "float32", "float32", False)


def float16() -> Recipe:
    """Weights stored in half precision and widened when the model is loaded.

    Accuracy: relative weight error 2^-11; weights beyond 65504 become infinite and are refused. Speed: that of float32 once
    loaded; half the bytes to publish. Runs on CPUs and GPUs, not on microcontrollers. No calibration.
    """
    return Recipe("float16", "float16", "float32", "float16", False)


def dynamic_wi8_afp32() -> Recipe:
    """Weights int8; each layer quantizes its input by the range it meets, and gives floats.

    Accuracy: between float32 and static int8; nothing saturates. Speed: a quarter of the bytes; up to 3 times faster than float32
    on wide layers. Runs on CPUs, not on microcontrollers. No calibration.
    """
    return Recipe("dynamic_wi8_afp32", "int8", "float32", "float32", False)


def static_wi8_ai8(io: str = "float32") -> Recipe:
    """Weights and activations int8 with ranges fixed by calibration.

    Accuracy: each value between layers has 256 steps over the calibrated range and saturates beyond it. Speed: the fastest, up to
    5 times float32 on wide layers. Runs on CPUs, microcontrollers and integer accelerators. Needs calibration observations.

    Args:
      io: 'float32', or 'int8' for devices without floats: then observation scaling is folded into the first layer, so that one
        scale serves all observation features, which costs accuracy where their ranges differ. `//tools:export --io=int8` is free of that:
        it cuts the float ends off a model of 'float32', and the caller encodes each feature by its own scale in policy.json.
    """
    return Recipe("static_wi8_ai8", "int8", "int8", "int32", True, io)


def static_wi8_ai16() -> Recipe:
    """Weights int8, activations int16 with ranges fixed by calibration.

    Accuracy: close to weight quantization alone. Speed: slower than float32 on CPUs, which have plain kernels for it. Runs
    on CPUs, microcontrollers and accelerators with 16-bit activations. Needs calibration observations.
    """
    return Recipe("static_wi8_ai16", "int8", "int16", "int64", True)


def low_bit(widths: bit_widths.BitWidths, is_trained: bool) -> Recipe:
    """Weights and activations of 2 to 8 bits each, in int8 containers, with ranges learned in training or fixed by calibration.

    Accuracy: after training about 8 bits, trained for it fewer. Speed: that of static_wi8_ai8, since runtimes have no faster
    kernels; a device that packs the weights stores as many bits as the name says. Runs where static_wi8_ai8 runs. Needs calibration
    observations where the policy wasn't trained for it.
    """
    name = f"{'qat' if is_trained else 'ptq'}_{widths.suffix}"
    return Recipe(name, "int8", "int8", "int32", True, "float32", widths, is_trained)


_CONSTRUCTORS = {
    constructor.__name__: constructor
    for constructor in (float32, float16, dynamic_wi8_afp32, static_wi8_ai8, static_wi8_ai16)
}

NAMES = tuple(_CONSTRUCTORS)


def from_name(name: str, io: str = "float32") -> Recipe:
    """The recipe called `name`.

    Args:
      name: one of `NAMES`, or a low-bit one by the grammar of `bit_widths`.
      io: type of the model's input and output, 'float32' or 'int8'.

    Raises:
      ConfigError: an unknown name, with the closest known ones, or an io type that the recipe can't have.
    """
    try:
        parsed = bit_widths.parse(name)
    except ValueError as error:
        raise errors.ConfigError(f"recipe '{name}': {error}") from error
    if parsed is not None:
        is_trained, widths = parsed
        return dataclasses.replace(low_bit(widths, is_trained), io=io)
    if name not in _CONSTRUCTORS:
        close = difflib.get_close_matches(name, (*NAMES, "qat_wi4_ai8", "ptq_wi4_ai8"), 3, 0.4) or NAMES
        raise errors.ConfigError(f"unknown recipe '{name}'; did you mean {' or '.join(close)}?")
    return dataclasses.replace(_CONSTRUCTORS[name](), io=io)
