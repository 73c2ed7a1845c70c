"""Golden vectors: observations with the outputs that a device must give, within a stated number of output steps."""

import dataclasses
import io

import numpy as np

from tfquarl.export import c_text
from tfquarl.export import edge_model

MAX_VECTORS = 64
HEADER_VECTORS = 16


@dataclasses.dataclass(frozen=True)
class GoldenVectors:
    """Inputs and expected outputs.

    Attributes:
      observations: float32 [N, D], as the environment gives them.
      inputs: [N, D], what the model takes.
      outputs: [N, O], what the model gives.
      values: float32 [N, O], q_values or actions.
      step: float32 [O], how much one output step is.
      tolerance_steps: output steps that a device may be off.
    """

    observations: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    values: np.ndarray
    step: np.ndarray
    tolerance_steps: float

    def to_npz(self) -> bytes:
        """The vectors as an .npz, by the names of the attributes."""
        buffer = io.BytesIO()
        np.savez(buffer, **dataclasses.asdict(self))
        return buffer.getvalue()

    def to_header(self) -> str:
        """`HEADER_VECTORS` of the vectors as a header for C and C++."""
        count = min(HEADER_VECTORS, len(self.inputs))
        kind = c_text.C_TYPES[self.inputs.dtype.name]
        out_kind = c_text.C_TYPES[self.outputs.dtype.name]
        rows = {
            "g_policy_golden_observations": ("float", "kPolicyObservationSize", spread(self.observations, count)),
            "g_policy_golden_inputs": (kind, "kPolicyObservationSize", spread(self.inputs, count)),
            "g_policy_golden_outputs": (out_kind, "kPolicyOutputSize", spread(self.outputs, count)),
            "g_policy_golden_values": ("float", "kPolicyOutputSize", spread(self.values, count)),
        }
        arrays = "\n".join(
            f"static const {kind} {name}[kPolicyNumGoldenVectors][{size}] = {{\n{c_text.matrix(values)}\n}};\n"
            for name, (kind, size, values) in rows.items()
        )
        return f"""\
// Observations, what they become at the model's input, and what the model must give, within kPolicyGoldenToleranceSteps output
// steps of g_policy_golden_step each. A device that passes these acts like the policy that was judged.
#ifndef POLICY_GOLDEN_VECTORS_H_
#define POLICY_GOLDEN_VECTORS_H_

#include <stdint.h>

#include "policy_model_data.h"

enum {{ kPolicyNumGoldenVectors = {count} }};
static const float kPolicyGoldenToleranceSteps = {c_text.number(self.tolerance_steps)};
static const float g_policy_golden_step[kPolicyOutputSize] = {{{c_text.row(self.step)}}};

{arrays}
#endif  // POLICY_GOLDEN_VECTORS_H_
"""


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the rows [N, ...], evenly spread: neighbours in an episode are nearly the same."""
    if len(rows) <= count:
        return rows
    return rows[np.arange(count) * len(rows) // count]


def make_golden_vectors(
    model: edge_model.EdgeModel, observations: np.ndarray, outputs: np.ndarray, tolerance_steps: float
) -> GoldenVectors:
    """Golden vectors of a model: `MAX_VECTORS` of the observations at most.

    Args:
      model: it.
      observations: float32 [N, D].
      outputs: what it gave for them on the runtime that all others are compared with, [N, O].
      tolerance_steps: output steps that a device may be off.
    """
    observations, outputs = spread(observations, MAX_VECTORS), spread(outputs, MAX_VECTORS)
    values = model.decode(outputs)
    step = model.output_step(values).astype(np.float32)
    return GoldenVectors(observations, model.encode(observations), outputs, values, step, tolerance_steps)
