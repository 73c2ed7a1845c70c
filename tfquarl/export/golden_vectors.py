"""Golden vectors: observations with the outputs that a device must give, each within output steps of its own."""

from collections.abc import Iterator
import dataclasses
import io

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import c_text
from tfquarl.export import edge_model
from tfquarl.export import tolerance
from tfquarl.export import verification

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
      limits: output steps that a device may be off, for each value.
    """

    observations: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    values: np.ndarray
    step: np.ndarray
    limits: tolerance.Tolerance

    def accepts(self, values: np.ndarray) -> bool:
        """Whether a device that gives these values, [N, O], passes."""
        return self.limits.accepts(np.abs(values.astype(np.float64) - self.values) / self.step)

    def choose(self, count: int) -> np.ndarray:
        """Numbers of at most `count` of the vectors: a quarter of them evenly spread, the others those that tell most.

        Their values are farthest from the middle ones, to both sides, by what a device may be off there: a policy that does the same most
        of the time is told from a broken one by the few observations where it does something else.
        """
        rows = np.arange(len(self.values))
        if len(rows) <= count:
            return rows
        taken = spread(rows, count // 4)
        distances = self.limits.shares((self.values - np.median(self.values, axis=0)) / self.step)
        farthest = np.abs(distances).argmax(axis=1)
        rest = np.setdiff1d(rows, taken)
        ordered = rest[np.argsort(distances[rest, farthest[rest]], kind="stable")]
        half, other_half = (count - len(taken)) // 2, (count - len(taken) + 1) // 2
        return np.sort(np.concatenate([taken, ordered[:half], ordered[len(ordered) - other_half :]]))

    def at(self, rows: np.ndarray) -> "GoldenVectors":
        """Some of the vectors, by their numbers."""
        parts = {name: getattr(self, name)[rows] for name in ("observations", "inputs", "outputs", "values")}
        return dataclasses.replace(self, **parts, limits=self.limits.at(rows))

    def to_npz(self) -> bytes:
        """The vectors as an .npz, by the names of the attributes, but for 'limits' 'tolerance_steps' and 'mean_tolerance_steps'."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        limits = arrays.pop("limits")
        buffer = io.BytesIO()
        np.savez(buffer, **arrays, tolerance_steps=limits.steps, mean_tolerance_steps=limits.mean)
        return buffer.getvalue()

    def to_header(self) -> str:
        """The vectors as a header for C and C++."""
        kind = c_text.C_TYPES[self.inputs.dtype.name]
        out_kind = c_text.C_TYPES[self.outputs.dtype.name]
        rows = {
            "g_policy_golden_observations": ("float", "kPolicyObservationSize", self.observations),
            "g_policy_golden_inputs": (kind, "kPolicyObservationSize", self.inputs),
            "g_policy_golden_outputs": (out_kind, "kPolicyOutputSize", self.outputs),
            "g_policy_golden_values": ("float", "kPolicyOutputSize", self.values),
            "g_policy_golden_tolerance_steps": ("float", "kPolicyOutputSize", self.limits.steps),
        }
        arrays = "\n".join(
            f"static const {kind} {name}[kPolicyNumGoldenVectors][{size}] = {{\n{c_text.matrix(values)}\n}};\n"
            for name, (kind, size, values) in rows.items()
        )
        return f"""\
// Observations, what they become at the model's input, and what the model must give: each value within its own number of output
// steps of g_policy_golden_step, and all of them within kPolicyGoldenMeanToleranceSteps in the mean. A device that passes these acts
// like the policy that was judged; one that always does the same, or ignores what it sees, does not pass.
#ifndef POLICY_GOLDEN_VECTORS_H_
#define POLICY_GOLDEN_VECTORS_H_

#include <stdint.h>

#include "policy_model_data.h"

enum {{ kPolicyNumGoldenVectors = {len(self.inputs)} }};
static const float kPolicyGoldenMeanToleranceSteps = {c_text.number(self.limits.mean)};
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
    model: edge_model.EdgeModel, observations: np.ndarray, outputs: np.ndarray, limits: tolerance.Tolerance
) -> GoldenVectors:
    """Golden vectors of a model, all that there are.

    Args:
      model: it.
      observations: float32 [N, D].
      outputs: what it gave for them on the runtime that all others are compared with, [N, O].
      limits: output steps that a device may be off.
    """
    values = model.decode(outputs)
    step = model.output_step(values).astype(np.float32)
    return GoldenVectors(observations, model.encode(observations), outputs, values, step, limits)


def check_telling(vectors: GoldenVectors, spec: environment_spec.EnvironmentSpec, max_error_share: float) -> None:
    """Refuses vectors that a broken policy passes.

    Args:
      vectors: that are to tell a right policy from a broken one.
      spec: of the policy's environment.
      max_error_share: a policy whose actions are never farther off, as a share of their range, or whose choices give no more away, as
        a share of the spread of q_values, is none that has to be told.

    Raises:
      ParityError: with what the broken policy does.
    """
    for name, values in _broken(vectors.values):
        figures = verification.float_figures(spec, values, vectors.values)
        key = "regret_share" if spec.is_discrete else "action_error_max_share"
        if figures[key] > max_error_share and vectors.accepts(values):
            raise errors.ParityError(
                f"{len(values)} golden vectors can't tell the policy from {name}: its actions differ ({key} is {figures[key]:.2g}), but "
                f"by no more than the {vectors.limits.steps.max():.3g} output steps of a runtime that rounds otherwise; use "
                "--recipe=static_wi8_ai16, whose steps are finer, observations that move the output more, or a lower --tolerance_steps"
            )


def _broken(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What policies would give instead of `values` [N, O] that don't compute, or in the wrong order."""
    yield "a broken one that always gives 0", np.zeros_like(values)
    yield (
        "a broken one that always gives the same",
        np.repeat(np.median(values, axis=0)[np.newaxis], len(values), axis=0),
    )
    yield "a broken one that acts by another observation", np.roll(values, len(values) // 2, axis=0)
    if values.shape[1] > 1:
        yield "a broken one whose outputs are in another order", np.roll(values, 1, axis=1)
