"""Byte for byte: what the fast path writes is what TFLiteConverter gives.

TFQUARL_EQUALITY_EXAMPLES sets how many random architectures are tried, with two policies each; the default suits every run of all tests.
TFQUARL_EQUALITY_SEED makes others.
"""

import os

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import reference_path
from tfquarl.converter import template as template_lib
from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer

_NUM_EXAMPLES = int(os.environ.get("TFQUARL_EQUALITY_EXAMPLES", "20"))
_RECIPES = {name: recipe_lib.from_name(name) for name in recipe_lib.NAMES}
_RECIPES["static_wi8_ai8, integer ends"] = recipe_lib.static_wi8_ai8("int8")


def _observations(generator: np.random.Generator, recipe: recipe_lib.Recipe, size: int) -> np.ndarray | None:
    if not recipe.needs_calibration:
        return None
    count = int(generator.choice([1, 2, 30]))
    return (generator.standard_normal((count, size)) * np.exp(2 * generator.standard_normal())).astype(np.float32)


def _difference(architecture: object, recipe: recipe_lib.Recipe, kind: str, got: bytes, expected: bytes) -> str:
    lines = [f"{recipe.name} with io {recipe.io}, {architecture}, {kind}: {len(got)} and {len(expected)} bytes"]
    if len(got) == len(expected):
        for ours, theirs in zip(flatbuffer.read_layout(got).tensors, flatbuffer.read_layout(expected).tensors):
            if (ours.scales, ours.zero_points) != (theirs.scales, theirs.zero_points):
                lines.append(f"{ours.name}: {ours.scales} {ours.zero_points}, {theirs.scales} {theirs.zero_points}")
            if ours.is_constant and not np.array_equal(ours.values(got), theirs.values(expected)):
                lines.append(
                    f"{ours.name}: {np.count_nonzero(ours.values(got) != theirs.values(expected))} values differ"
                )
    return "\n".join(lines)


def _check(
    architecture: architecture_lib.PolicyArchitecture,
    recipe: recipe_lib.Recipe,
    scales_observations: bool,
    generator: np.random.Generator,
    kinds: list[str],
    spread: float,
) -> int:
    """Compares one snapshot of each kind with the reference path; how many the fast path could do."""
    size, num_written = architecture.observation_size, 0
    inputs = template_lib.template_inputs(architecture, recipe, scales_observations)
    model = reference_path.convert(architecture, recipe, *inputs, scales_observations)
    template = template_lib.Template(model, architecture, recipe)
    for kind in kinds:
        variables = policies.variables(architecture, generator, kind, spread, scales_observations)
        observations = _observations(generator, recipe, size)
        expected = reference_path.convert(architecture, recipe, variables, observations, scales_observations)
        try:
            got = template.write(variables, observations)
        except (OverflowError, errors.NumericalError):
            continue  # the reference path's to do, or beyond what the recipe's types hold
        num_written += 1
        assert got == expected, _difference(architecture, recipe, kind, got, expected)
    return num_written


@pytest.mark.parametrize("name", _RECIPES)
def test_each_kind_of_policy(name: str):
    generator = np.random.default_rng(1)
    for head, activation, scales_observations in (("action", "relu", True), ("q_values", "tanh", False)):
        architecture = policies.architecture(head, (16, 16), activation)
        num_written = _check(
            architecture, _RECIPES[name], scales_observations, generator, list(policies.KINDS), spread=0.3
        )
        assert num_written >= (3 if name == "static_wi8_ai16" else 6)


def test_random_policies():
    """Random architectures, weights of wild ranges, few or many observations."""
    generator = np.random.default_rng(int(os.environ.get("TFQUARL_EQUALITY_SEED", "0")))
    num_written = 0
    for _ in range(_NUM_EXAMPLES):
        head = str(generator.choice(architecture_lib.HEADS))
        num_outputs, most_units = int(generator.integers(1, 8)), int(generator.choice([8, 80, 512]))
        hidden_sizes = tuple(int(units) for units in generator.integers(1, most_units + 1, generator.integers(1, 6)))
        high = float(generator.choice([1.0, 2.5]))
        bounds = ((-1.0,) * num_outputs, (high,) * num_outputs) if head == "action" else (None, None)
        activation = str(generator.choice(architecture_lib.ACTIVATIONS))
        architecture = architecture_lib.PolicyArchitecture(
            int(generator.integers(1, 40)), hidden_sizes, num_outputs, head, activation, *bounds
        )
        names = [
            name
            for name, recipe in _RECIPES.items()
            if recipe.io == "float32" or bounds[1] in (None, (1.0,) * num_outputs)
        ]
        recipe = _RECIPES[str(generator.choice(names))]
        spread = float(generator.choice([0.3, 1.0, 3.0, 6.0]) if recipe.name != "static_wi8_ai16" else 0.3)
        kinds = [str(kind) for kind in generator.choice(policies.KINDS, 2, replace=False)]
        num_written += _check(architecture, recipe, bool(generator.integers(2)), generator, kinds, spread)
    assert num_written > _NUM_EXAMPLES  # of twice as many


def test_float16_refuses_what_it_cannot_hold():
    architecture = policies.architecture()
    recipe = recipe_lib.float16()
    variables = policies.variables(architecture, np.random.default_rng(0))
    template = template_lib.Template(
        reference_path.convert(architecture, recipe, variables, None, True), architecture, recipe
    )
    variables["dense_1/kernel"][0, 0] = 70000
    with pytest.raises(errors.NumericalError, match="'dense_1/kernel' has values beyond float16's 65504"):
        template.write(variables, None)


def test_overflowing_layer_is_named():
    architecture = policies.architecture()
    recipe = recipe_lib.static_wi8_ai8()
    generator = np.random.default_rng(0)
    variables, observations = policies.variables(architecture, generator), generator.standard_normal((4, 5), np.float32)
    template = template_lib.Template(
        reference_path.convert(architecture, recipe, variables, observations, True), architecture, recipe
    )
    variables["dense_0/kernel"] *= np.float32(1e30)
    variables["dense_1/kernel"] *= np.float32(1e30)
    with (
        pytest.raises(errors.NumericalError, match="layer 'dense_1' overflows"),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        template.write(variables, observations)
