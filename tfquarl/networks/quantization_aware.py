"""Settings of quantization-aware training, as values that need no TensorFlow."""

import dataclasses

from tfquarl.core import errors
from tfquarl.quantization import bit_widths

MOVING_AVERAGE, ALL_VALUES, LEARNED = "moving_average", "all_values", "learned"
RANGES = (MOVING_AVERAGE, ALL_VALUES, LEARNED)


@dataclasses.dataclass(frozen=True)
class QuantizationAwareConfig:
    """How a policy is trained quantized. Only recipes `qat_...` look at it; their names tell the widths.

    Attributes:
      quant_delay: train steps before the network computes with quantized values; ranges are observed from the first one.
      ranges: of activations: 'moving_average' of each batch's least and largest value, 'all_values' that were ever seen, or 'learned' by
        gradient descent from the moving average of the delay on.
      moving_average_decay: share of the old range that stays at each train step, in [0, 1).
    """

    quant_delay: int = 0
    ranges: str = MOVING_AVERAGE
    moving_average_decay: float = 0.99

    def __post_init__(self) -> None:
        if self.quant_delay < 0:
            raise errors.ConfigError(f"quant_delay is {self.quant_delay}, needs 0 or more train steps")
        if self.ranges not in RANGES:
            raise errors.ConfigError(f"ranges is '{self.ranges}', needs one of {', '.join(RANGES)}")
        if not 0 <= self.moving_average_decay < 1:
            raise errors.ConfigError(f"moving_average_decay is {self.moving_average_decay}, needs 0 or more, below 1")


@dataclasses.dataclass(frozen=True)
class QuantizationAware:
    """What a network trained quantized has to know.

    Attributes:
      widths: of its values.
      config: of the training.
      centers_q_values: whether q_values are converted relative to their mean over the actions (`q_centering`). The network then quantizes
        just this part of its head, which alone decides the action; their mean, which only the loss needs, stays float.
    """

    widths: bit_widths.BitWidths
    config: QuantizationAwareConfig = QuantizationAwareConfig()
    centers_q_values: bool = True
