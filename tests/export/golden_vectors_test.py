"""Golden vectors and the comparison of runtimes: a right policy that rounds otherwise passes, a broken one does not, however steep its tanh."""

from collections.abc import Callable
import dataclasses

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import edge_model
from tfquarl.export import golden_vectors
from tfquarl.export import tolerance
from tfquarl.export import verification
from tfquarl.runtime import integer_core
from tfquarl.runtime import output_tail
from tfquarl.runtime import trial
from tfquarl.testing import tiny_policies

_GENTLE, _STEEP, _STEEPER = (
    1.0,
    14.7,
    22.0,
)  # output steps of 1/128 by a step of the last layer, where the tanh is steepest


def _model(gain: float) -> edge_model.EdgeModel:
    """Its last layer has values of `gain` / 128 times an integer; a tanh follows, and the arm's bounds."""
    codes = np.arange(-128, 128)[:, np.newaxis]
    table = np.clip(np.rint(128 * np.tanh(gain / 128 * codes)), -128, 127).astype(np.int8)
    decode = integer_core.Affine(np.full(2, 2 / 128, np.float32), np.asarray([0, 1], np.float32))
    encode = integer_core.Encoding(np.zeros(3, np.float32), np.ones(3, np.float32))
    core = integer_core.IntegerCore("int8", 1, 0, 1 / 128, 0, encode, decode)
    tail = output_tail.OutputTail(np.repeat(table, 2, axis=1), 1, 3)
    return edge_model.EdgeModel(b"", "int8", "action", (), core, tail)


def _codes(gain: float, count: int = 256) -> np.ndarray:
    """The last layer of a policy that balances: mostly nothing, sometimes up to half of the range, one output against the other."""
    generator = np.random.default_rng(0)
    first = np.rint(np.where(generator.random(count) < 0.7, 0, generator.normal(0, 40 / gain, count)))
    return np.clip(np.stack([first, -first], axis=1), -60 / gain, 60 / gain).astype(int)


def _outputs(model: edge_model.EdgeModel, codes: np.ndarray) -> np.ndarray:
    assert model.tail is not None
    return model.tail.table[codes + 128, np.arange(2)]


def _vectors(gain: float) -> golden_vectors.GoldenVectors:
    model = _model(gain)
    outputs = _outputs(model, _codes(gain))
    observations = np.arange(3 * len(outputs), dtype=np.float32).reshape(-1, 3)
    limits = tolerance.make_tolerance(model, model.decode(outputs))
    return golden_vectors.make_golden_vectors(model, observations, outputs, limits)


def _sets(gain: float) -> list[golden_vectors.GoldenVectors]:
    """Those of the .npz and those of the header."""
    kept = _vectors(gain).at(_vectors(gain).choose(golden_vectors.MAX_VECTORS))
    return [kept, kept.at(kept.choose(golden_vectors.HEADER_VECTORS))]


_BROKEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeroed": np.zeros_like,
    "constant": lambda outputs: np.broadcast_to(np.median(outputs, axis=0), outputs.shape).astype(outputs.dtype),
    "at an end": lambda outputs: np.full_like(outputs, 127),
    "permuted outputs": lambda outputs: outputs[:, ::-1],
    "permuted observations": lambda outputs: np.roll(outputs, 7, axis=0),
}


@pytest.mark.parametrize("broken", _BROKEN.values(), ids=_BROKEN)
@pytest.mark.parametrize("gain", [_GENTLE, _STEEP, _STEEPER])
def test_a_broken_policy_fails_everywhere(gain: float, broken: Callable[[np.ndarray], np.ndarray]):
    model = _model(gain)
    for vectors in _sets(gain):
        assert not vectors.accepts(model.decode(broken(vectors.outputs)))
    vectors = _vectors(gain)
    trials = [trial.Trial("here", "1", vectors.outputs), trial.Trial("there", "1", broken(vectors.outputs))]
    (_, row) = verification.compare(model, trials, vectors.limits, vectors.choose(golden_vectors.MAX_VECTORS))
    assert row["status"] == "failed"


@pytest.mark.parametrize("gain", [_GENTLE, _STEEP, _STEEPER])
@pytest.mark.parametrize(("share", "largest"), [(0.5, 1), (0.2, 2), (0.05, 3)])
def test_a_right_policy_that_rounds_otherwise_passes(gain: float, share: float, largest: int):
    model, codes = _model(gain), _codes(gain)
    generator = np.random.default_rng(1)
    off = np.where(generator.random(codes.shape) < share, generator.choice([-largest, largest], codes.shape), 0)
    vectors = _vectors(gain)
    trials = [trial.Trial("here", "1", vectors.outputs), trial.Trial("there", "1", _outputs(model, codes + off))]
    (_, row) = verification.compare(model, trials, vectors.limits, vectors.choose(golden_vectors.MAX_VECTORS))
    assert row["status"] == "passed", row


@pytest.mark.parametrize(
    ("gain", "output", "steps"),
    [
        (_GENTLE, 0, 1 + 3),
        (_STEEP, 0, 1 + 42),  # 128 tanh(3 * 14.7 / 128)
        (_STEEP, 127, 1 + 2),
        (60.0, 0, 64),  # a quarter of the output's range, however steep
    ],
    ids=["gentle", "steep", "flat end", "as far as it goes"],
)
def test_an_output_may_be_off_by_what_three_steps_of_the_last_layer_do_there(gain: float, output: int, steps: int):
    model = _model(gain)
    limits = tolerance.make_tolerance(model, model.decode(np.full((1, 2), output, np.int8)))
    assert limits.layer_steps == 3
    assert limits.steps.tolist() == [[steps, steps]]


@pytest.mark.parametrize(
    ("dtype", "operators", "given", "steps"),
    [
        ("int16", (), None, 16),
        (None, (("FULLY_CONNECTED", 1),), None, 0.5),
        (None, (("QUANTIZE", 1), ("SOFTMAX", 1)), None, 8),
        ("int8", (), 7.0, 7),
    ],
    ids=["int16", "floats", "a float end behind integer layers", "by flag"],
)
def test_tolerance_of_other_models(dtype: str | None, operators, given: float | None, steps: float):
    one = integer_core.Affine(np.ones(1, np.float32), np.zeros(1, np.float32))
    same = integer_core.Encoding(np.zeros(1, np.float32), np.ones(1, np.float32))
    core = None if dtype is None else integer_core.IntegerCore(dtype, 1, 0, 1, 0, same, one)
    tail = output_tail.OutputTail(np.arange(-128, 128)[:, np.newaxis], 0, 3)
    model = edge_model.EdgeModel(b"", "float32", "q_values", operators, core, None if core is None else tail)
    assert tolerance.make_tolerance(model, np.zeros((1, 1), np.float32), given).steps.tolist() == [[steps]]


def test_what_a_step_of_the_last_layer_is_at_the_output_is_told():
    model = _model(_STEEP)
    facts = tolerance.coarseness(model, model.decode(np.asarray([[0, 127]], np.int8)))
    assert facts is not None
    assert facts["output_steps_of_a_layer_step"] == 15
    assert "one step of its last layer is up to 15 of the output's 256 steps, 5.9% of their range" in facts["note"]
    gentle = tolerance.coarseness(_model(_GENTLE), np.zeros((1, 2), np.float32))
    assert gentle is not None and (gentle["output_steps_of_a_layer_step"], gentle["note"]) == (1, "")


def _with_codes(codes: list[list[int]], gain: float) -> golden_vectors.GoldenVectors:
    model = _model(gain)
    outputs = _outputs(model, np.asarray(codes))
    limits = tolerance.make_tolerance(model, model.decode(outputs))
    return golden_vectors.make_golden_vectors(model, np.zeros((len(codes), 3), np.float32), outputs, limits)


def test_vectors_that_a_broken_policy_passes_are_refused():
    vectors = _with_codes([[0, 0], [2, 0], [0, 0], [-2, 0]] * 4, _STEEP)
    with pytest.raises(
        errors.ParityError, match=r"16 golden vectors can't tell the policy from a broken one that always gives"
    ):
        golden_vectors.check_telling(vectors, tiny_policies.ARM_SPEC, 0.05)
    golden_vectors.check_telling(vectors, tiny_policies.ARM_SPEC, 0.25)  # a broken one is close enough for this user


def test_a_policy_that_always_does_the_same_is_no_broken_one():
    golden_vectors.check_telling(_with_codes([[100, 100]] * 16, _STEEP), tiny_policies.ARM_SPEC, 0.05)


def test_choices_count_where_actions_are_discrete():
    spec = environment_spec.EnvironmentSpec("gym:x", tiny_policies.ARM_SPEC.observation_fields, num_actions=2)
    vectors = _with_codes([[0, 1], [1, 0]] * 8, _GENTLE)
    vectors = dataclasses.replace(vectors, values=vectors.values - np.asarray([0, 1], np.float32))
    with pytest.raises(errors.ParityError, match="regret_share"):
        golden_vectors.check_telling(vectors, spec, 0.05)


def test_broken_policies_give_nothing_the_same_or_what_is_due_elsewhere():
    values = np.float32([[1, 5], [2, 7], [4, 1], [8, 3]])
    broken = {name.removeprefix("a broken one "): given.tolist() for name, given in golden_vectors._broken(values)}
    assert broken == {
        "that always gives 0": [[0, 0]] * 4,
        "that always gives the same": [[3, 4]] * 4,  # the medians
        "that acts by another observation": [[4, 1], [8, 3], [1, 5], [2, 7]],
        "whose outputs are in another order": [[5, 1], [7, 2], [1, 4], [3, 8]],
    }
    assert len(list(golden_vectors._broken(values[:, :1]))) == 3  # one output has no other order


def test_vectors_are_spread_and_hold_the_farthest_values_of_both_sides():
    outputs = np.zeros((40, 2), np.int8)
    outputs[7], outputs[13], outputs[29] = [90, 0], [0, -90], [0, 60]
    model = _model(_GENTLE)
    limits = tolerance.make_tolerance(model, model.decode(outputs))
    vectors = golden_vectors.make_golden_vectors(model, np.zeros((40, 3), np.float32), outputs, limits)
    chosen = vectors.choose(8)
    assert len(chosen) == 8 and {0, 20, 7, 13, 29} <= set(chosen.tolist())
    np.testing.assert_array_equal(vectors.at(chosen).limits.steps, limits.steps[chosen])
    assert vectors.choose(40).tolist() == list(range(40))
    assert golden_vectors.spread(np.arange(10), 4).tolist() == [0, 2, 5, 7]
    assert golden_vectors.spread(np.arange(3), 4).tolist() == [0, 1, 2]
