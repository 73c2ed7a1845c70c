"""How many bits each part of a low-bit policy has, with the names that say so: `qat_wi4_ai8`, `ptq_wi3_ai3_ii4_oi4_pc`.

qat | ptq   trained for it (quantization-aware training), or quantized after training
wi4         weights have 4 bits
ai8         values between layers have 8 bits
ii4         the scaled observation, the network's input, has 4 bits; 8 where nothing is said
oi4         the network's output has 4 bits; 8 where nothing is said
pc          each unit of a layer has a weight scale of its own (per channel); else the whole layer has one
"""

import dataclasses
import re

MIN_BITS, MAX_BITS = 2, 8

_NAME = re.compile(r"(qat|ptq)_wi(\d+)_ai(\d+)(?:_ii(\d+))?(?:_oi(\d+))?(_pc)?")


@dataclasses.dataclass(frozen=True)
class BitWidths:
    """Bits from 2 to 8 of each kind of value.

    Attributes:
      weights: of a layer's kernel; n bits are the 2^n - 1 integers from -(2^(n-1) - 1) to 2^(n-1) - 1.
      activations: of the values between layers; n bits are 2^n steps over a range that holds 0.
      inputs: of the scaled observation.
      outputs: of the head's output.
      per_channel: whether each unit has a weight scale of its own.
    """

    weights: int
    activations: int
    inputs: int = 8
    outputs: int = 8
    per_channel: bool = False

    def __post_init__(self) -> None:
        for name in ("weights", "activations", "inputs", "outputs"):
            bits = getattr(self, name)
            if not MIN_BITS <= bits <= MAX_BITS:
                raise ValueError(f"{name} have {bits} bits, needs {MIN_BITS} to {MAX_BITS}")

    @property
    def suffix(self) -> str:
        """The part of a recipe's name that says all this, e.g. 'wi4_ai8_pc'."""
        ends = [f"_{kind}{bits}" for kind, bits in (("ii", self.inputs), ("oi", self.outputs)) if bits != MAX_BITS]
        return f"wi{self.weights}_ai{self.activations}{''.join(ends)}{'_pc' if self.per_channel else ''}"


def parse(name: str) -> tuple[bool, BitWidths] | None:
    """Whether the recipe called `name` is of quantization-aware training, and its widths; None for other names.

    Raises:
      ValueError: a name of this form with widths that there are not.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind, weights, activations, inputs, outputs, per_channel = match.groups()
    ends = int(inputs or MAX_BITS), int(outputs or MAX_BITS)
    return kind == "qat", BitWidths(int(weights), int(activations), *ends, per_channel is not None)
