"""What is inside a policy and where its quantization loses: tensors, operators, weights, and errors layer by layer."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tfquarl.converter import scaling_ops
from tfquarl.core import records
from tfquarl.export import float_graph
from tfquarl.export import float_variables
from tfquarl.export import layer_errors
from tfquarl.export import run_source
from tfquarl.export import weight_errors
from tfquarl.quantization import parity
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter


@dataclasses.dataclass(frozen=True)
class LayerStudy:
    """A policy's layers on observations.

    Attributes:
      source: what the observations come from, for people.
      num_observations: N.
      values: of each layer, in the order of execution.
      errors: of each layer, first the one that costs most.
      output_sqnr_db: signal to quantization noise ratio of the policy's output, in decibels.
      output_figures: of `parity.figures`.
    """

    source: str
    num_observations: int
    values: tuple[layer_errors.LayerValues, ...]
    errors: tuple[layer_errors.LayerError, ...]
    output_sqnr_db: float
    output_figures: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Inspection:
    """All that is known of a policy.

    Attributes:
      artifact: it.
      layout: its tensors and operators.
      weights: its kernels beside the float ones, in the order of the layers; empty without the float policy.
      study: of its layers; None without observations.
    """

    artifact: records.PolicyArtifact
    layout: flatbuffer.ModelLayout
    weights: tuple[weight_errors.LayerWeights, ...] = ()
    study: LayerStudy | None = None

    def to_json(self) -> dict[str, Any]:
        """All figures as plain JSON values; infinite ratios, where nothing is lost, become null in a file."""
        study = self.study
        return {
            "policy_version": self.artifact.version,
            "train_step": self.artifact.train_step,
            "recipe": self.artifact.recipe,
            "sha256": self.artifact.digest,
            "size_bytes": len(self.artifact.model),
            "tensors": [_tensor_json(tensor) for tensor in self.layout.tensors],
            "operators": [_operator_json(self.layout, operator) for operator in self.layout.operators],
            "weights": [dataclasses.asdict(error) for error in weight_errors.rank(self.weights)],
            "observations": None if study is None else {"source": study.source, "count": study.num_observations},
            "layers": [] if study is None else [dataclasses.asdict(error) for error in study.errors],
            "output": None if study is None else {"sqnr_db": study.output_sqnr_db, **study.output_figures},
        }


def inspect_file(artifact: records.PolicyArtifact) -> Inspection:
    """What the file of a policy tells, without its float policy.

    Raises:
      ArtifactError: bytes that are not a policy.
    """
    return Inspection(artifact, interpreter.check_structure(artifact.model))


def inspect_policy(
    policy: run_source.ArchivedPolicy, observations: np.ndarray | None = None, source: str = ""
) -> Inspection:
    """What the file of a policy tells beside the float one.

    Args:
      policy: both.
      observations: that it meets, float32 [N, D]; None for the weights alone.
      source: what they come from, for people.

    Raises:
      ArtifactError: one of the policies is damaged, or they are of two structures.
      ConfigError: the manifest names an unknown recipe.
    """
    artifact, architecture = policy.artifact, policy.architecture
    layout = interpreter.check_structure(artifact.model)
    variables = float_variables.read_variables(architecture, policy.reference.model)
    has_integer_input = layout.tensors[layout.input].dtype == "int8"
    recipe = recipe_lib.from_name(artifact.recipe, "int8" if has_integer_input else "float32")
    folded = {**variables, **scaling_ops.core_variables(recipe, variables, True)}
    weights = weight_errors.read_weights(artifact.model, layout, folded)
    if observations is None:
        return Inspection(artifact, layout, weights)
    float_variables.check_variables(architecture, variables, policy.reference.model, observations)
    graph = float_graph.FloatGraph(artifact.model, layout, folded)
    values = layer_errors.read_values(graph, artifact.model, observations)
    is_choice = architecture.head == "q_values"
    study = LayerStudy(
        source,
        len(observations),
        values,
        layer_errors.rank(graph, values, is_choice),
        *output_figures(policy, observations),
    )
    return Inspection(artifact, layout, weights, study)


def output_figures(policy: run_source.ArchivedPolicy, observations: np.ndarray) -> tuple[float, Mapping[str, float]]:
    """Signal to noise ratio of the quantized policy's output in decibels, and its errors, by the kernels that collectors use.

    Args:
      policy: both.
      observations: float32 [N, D].

    Returns:
      The ratio, and `parity.figures`.
    """
    got, expected = (
        interpreter.PolicyInterpreter(artifact.model, len(observations))(observations)
        for artifact in (policy.artifact, policy.reference)
    )
    architecture = policy.architecture
    figures = parity.figures(got, expected, architecture.action_low, architecture.action_high)
    return parity.sqnr_db(got, expected), figures


def _tensor_json(tensor: flatbuffer.Tensor) -> dict[str, Any]:
    return {
        "index": tensor.index,
        "name": tensor.name,
        "shape": list(tensor.shape),
        "type": tensor.dtype,
        "scales": list(tensor.scales),
        "zero_points": list(tensor.zero_points),
        "num_bytes": tensor.num_bytes,
        "is_constant": tensor.is_constant,
    }


def _operator_json(layout: flatbuffer.ModelLayout, operator: flatbuffer.Operator) -> dict[str, Any]:
    names = {side: [layout.tensors[index].name for index in getattr(operator, side)] for side in ("inputs", "outputs")}
    return {"name": operator.name, **names, "activation": operator.activation}
