"""What one step of the last layer is at the output, on real models with and without a tanh."""

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.runtime import output_tail


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_a_tanh_is_read_as_a_table(io: str):
    tail = output_tail.TailGraph(policy_files.int8_policy(io)).read_tail()
    assert tail is not None
    assert (tail.num_operators, tail.num_layers, tail.table.shape) == (1, 2, (256, 2))
    codes = np.arange(-128, 128)[:, np.newaxis]  # steps of 1/64 become steps of 1/128
    np.testing.assert_allclose(tail.table, np.repeat(128 * np.tanh(codes / 64), 2, axis=1), atol=1)


def test_without_operators_behind_the_last_layer_a_step_is_a_step():
    graph = output_tail.TailGraph(policy_files.int8_policy("int8"))
    graph._keep(graph.input, next(i for i, t in enumerate(graph._graph.tensors) if t.name == b"head"))
    tail = graph.read_tail()
    assert tail is not None
    assert (tail.num_operators, tail.num_layers) == (0, 2)
    np.testing.assert_array_equal(tail.table[:, 1], np.arange(-128, 128))


@pytest.mark.parametrize("model", [policy_files.float32_policy(), policy_files.categorical_policy()])
def test_a_model_without_integer_output_has_none(model: bytes):
    assert output_tail.TailGraph(model).read_tail() is None


_STEEP = np.asarray([[-128, 0], [-128, 10], [-20, 20], [0, 30], [20, 40], [127, 50], [127, 60], [127, 70]], np.int8)


@pytest.mark.parametrize(
    ("output", "layer_steps", "moved"),
    [
        ([0, 30], 1, [20, 10]),
        ([127, 60], 1, [107, 10]),  # of the three that give 127 the one beside the slope
        ([-128, 0], 1, [108, 10]),
        ([0, 30], 2, [128, 20]),
        ([2, 64], 1, [20, 10]),  # 0 and 60 are nearest
    ],
    ids=["steep", "flat end", "lower end", "two steps", "values that the table lacks"],
)
def test_reach_goes_by_where_the_output_is(output: list[int], layer_steps: int, moved: list[int]):
    tail = output_tail.OutputTail(_STEEP, 1, 3)
    assert tail.reach(np.asarray([output]), layer_steps).tolist() == [moved]
