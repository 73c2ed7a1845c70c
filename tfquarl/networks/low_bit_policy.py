"""The policy network with values of 2 to 8 bits, in numpy: integer for integer what the exported model computes.

`numpy_policy` is the float network; this is the one that quantization-aware training trains, and the reference of its conversion.
"""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit

INPUT = "scaled_observation"
"""Name of the first range, that of the scaled observation; the others have the names of their layers."""


@dataclasses.dataclass(frozen=True)
class LowBitLayer:
    """One layer in integers: round((x @ kernel + bias) * multiplier), clipped to `output`.

    Attributes:
      name: of the layer.
      source: grid of its input.
      kernel: whole numbers, float32 [inputs, units].
      bias: whole numbers, float32 [units].
      scales: of the kernel's units, float32 [units].
      output: grid of its output, before a tanh.
      after_tanh: grid after the tanh that follows; None where none does.
    """

    name: str
    source: low_bit.Grid
    kernel: np.ndarray
    bias: np.ndarray
    scales: np.ndarray
    output: low_bit.Grid
    after_tanh: low_bit.Grid | None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Whole numbers [B, units] on the last grid, from whole numbers [B, inputs] on `source`."""
        sums = x @ self.kernel + self.bias
        result = self.output.round(sums * (self.source.scale * self.scales / self.output.scale))
        return result if self.after_tanh is None else tanh_steps(result, self.output, self.after_tanh)

    @property
    def last_grid(self) -> low_bit.Grid:
        """Of what the layer gives."""
        return self.after_tanh or self.output


def range_names(architecture: architecture_lib.PolicyArchitecture) -> tuple[str, ...]:
    """Names of the activations that have a range, in the order of the computation."""
    return INPUT, *architecture.layer_names


def tanh_grid(bits: int) -> low_bit.Grid:
    """The grid of a tanh: steps of 1/128, as the runtime has them, or 2^n - 1 steps from -1 to 1."""
    if bits == bit_widths.MAX_BITS:
        return low_bit.Grid(np.float32(1 / low_bit.TANH_STEPS), low_bit.TANH_STEPS, bits)
    limit = low_bit.weight_limit(bits)
    return low_bit.Grid(np.float32(1 / limit), limit + 1, bits)


def tanh_steps(x: np.ndarray, source: low_bit.Grid, target: low_bit.Grid) -> np.ndarray:
    """Whole numbers on the `target` grid for the tanh of whole numbers on `source`, rounded to 8 bits first; then halves go upwards."""
    fine = np.clip(np.rint(np.tanh(x * source.scale) * np.float32(128)), np.float32(-128), np.float32(127))
    if target.bits == bit_widths.MAX_BITS:
        return fine
    return np.floor(fine * np.float32(low_bit.weight_limit(target.bits) / 128) + np.float32(0.5))


def layers(
    architecture: architecture_lib.PolicyArchitecture,
    variables: Mapping[str, np.ndarray],
    ranges: Mapping[str, low_bit.Range],
    widths: bit_widths.BitWidths,
) -> list[LowBitLayer]:
    """The network's layers in integers.

    Args:
      architecture: of the policy.
      variables: its float32 arrays by name.
      ranges: of each activation by the names of `range_names`; hidden ones after a relu, but before a tanh.
      widths: of the policy.
    """
    source, result = low_bit.activation_grid(ranges[INPUT], widths.inputs), []
    for name in architecture.layer_names:
        is_head = name == "head"
        has_tanh = architecture.head == "action" if is_head else architecture.activation == "tanh"
        bits = widths.outputs if is_head else widths.activations
        limits = low_bit.before_tanh(ranges[name]) if has_tanh else ranges[name]
        kernel, bias = variables[f"{name}/kernel"], variables[f"{name}/bias"]
        scales = low_bit.weight_scales(kernel, bias, source.scale, widths)
        sum_scale = (source.scale * scales).max()
        output = low_bit.activation_grid(limits, bit_widths.MAX_BITS if has_tanh else bits, sum_scale)
        result.append(
            LowBitLayer(
                name,
                source,
                low_bit.quantize_weights(kernel, scales, widths.weights),
                low_bit.quantize_bias(bias, scales, source.scale),
                scales,
                output,
                tanh_grid(bits) if has_tanh else None,
            )
        )
        source = result[-1].last_grid
    return result


def forward(
    architecture: architecture_lib.PolicyArchitecture,
    variables: Mapping[str, np.ndarray],
    ranges: Mapping[str, low_bit.Range],
    widths: bit_widths.BitWidths,
    observations: np.ndarray,
) -> np.ndarray:
    """What the policy gives, float32 [B, output_size], for observations float32 [B, D]; arguments as of `layers`."""
    computed = layers(architecture, variables, ranges, widths)
    scaled = (observations - variables["observation_scaling/offset"]) * variables["observation_scaling/scale"]
    first = computed[0].source
    x = first.round(scaled * (np.float32(1) / first.scale))
    for layer in computed:
        x = layer(x)
    result = x * computed[-1].last_grid.scale
    if architecture.head == "action":
        middle, half_range = architecture.action_scaling()
        result = middle + half_range * result
    return result


def observed_ranges(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> dict[str, low_bit.Range]:
    """Least and largest value of each activation of the float network over observations [N, D], before each tanh."""
    if architecture.activation == "tanh":
        values = _before_tanh(architecture, variables, observations)
    else:
        values = numpy_policy.forward(architecture, variables, observations)
    return {name: (float(values[name].min()), float(values[name].max())) for name in range_names(architecture)}


def _before_tanh(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> dict[str, np.ndarray]:
    after = numpy_policy.forward(architecture, variables, observations)
    values, x = {INPUT: after[INPUT]}, after[INPUT]
    for name in architecture.layer_names:
        values[name] = x @ variables[f"{name}/kernel"] + variables[f"{name}/bias"]
        x = after[name]
    return values
