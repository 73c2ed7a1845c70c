"""Differences in output steps and in units, and the verdicts on them."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import edge_model
from tfquarl.export import tolerance
from tfquarl.export import verification
from tfquarl.runtime import integer_core
from tfquarl.runtime import trial
from tfquarl.testing import tiny_policies

_RUNTIMES = [trial.Runtime("ai-edge-litert", "xnnpack"), trial.Runtime("tflite-micro", "reference")]


_ENCODING = integer_core.Encoding(np.zeros(1, np.float32), np.ones(1, np.float32))


def _affine(multiplier: list[float], addend: list[float]) -> integer_core.Affine:
    return integer_core.Affine(np.asarray(multiplier, np.float32), np.asarray(addend, np.float32))


def _int8_model(output_name: str) -> edge_model.EdgeModel:
    """value = 0.25 * q for the first output, 0.5 * q + 1 for the second."""
    core = integer_core.IntegerCore("int8", 1, 0, 1, 0, _ENCODING, _affine([0.25, 0.5], [0, 1]))
    return edge_model.EdgeModel(b"", "int8", output_name, (), core, None)


def _compare(model: edge_model.EdgeModel, trials: list[trial.Trial], steps: float) -> list[dict[str, Any]]:
    """With the same tolerance for all outputs, and all observations telling."""
    shape = verification.outputs_of(trials[0]).shape
    return verification.compare(model, trials, tolerance.Tolerance(np.full(shape, steps), None), np.arange(shape[0]))


def _trials(*outputs: list[list[int]] | None) -> list[trial.Trial]:
    return [
        trial.Trial(
            f"runtime {i}", "1", None if item is None else np.asarray(item, np.int8), "" if item else "too small"
        )
        for i, item in enumerate(outputs)
    ]


def test_figures_are_in_steps_and_in_units():
    trials = _trials([[0, 10], [4, 2]], [[1, 10], [4, 4]])
    row = _compare(_int8_model("q_values"), trials, 4)[1]
    assert row["status"] == "passed"
    assert row["max_steps"] == 2
    assert row["mean_steps"] == pytest.approx(3 / 4)
    assert row["differing_share"] == 0.5
    assert row["max_difference"] == 1.0  # two steps of 0.5
    assert row["greedy_changed_share"] == 0  # 6 over 0, then 3 over 1: the second output stays the larger one


def test_a_changed_greedy_action_is_counted():
    trials = _trials(
        [[8, 2], [0, 0]], [[7, 2], [0, 0]]
    )  # 2.0 against 2.0: the first; then 1.75 against 2.0: the second
    row = _compare(_int8_model("q_values"), trials, 4)[1]
    assert row["greedy_changed_share"] == 0.5


def test_continuous_actions_have_no_greedy_share():
    row = _compare(_int8_model("action"), _trials([[0, 0]], [[0, 0]]), 2)[1]
    assert row["greedy_changed_share"] is None


def test_a_refusal_is_told_and_is_no_failure():
    rows = _compare(_int8_model("action"), _trials([[0, 0]], None), 2)
    assert rows[1] == {"runtime": "runtime 1", "version": "1", "status": "refused", "reason": "too small"}
    verification.check(rows, {"action_error_mean_share": 0.0}, verification.VerificationConfig(), "use x")


def test_outputs_of_another_shape_are_refused():
    row = _compare(_int8_model("action"), _trials([[0, 0], [0, 0]], [[0, 0]]), 2)[1]
    assert (row["status"], row["reason"]) == ("refused", "gave outputs of shape [1, 2], needs [2, 2]")


@pytest.mark.parametrize(
    ("got", "complaint"),
    [
        (
            [[0, 9], *[[0, 0]] * 9],
            "up to 9 output steps where 8 are allowed, and by 0.45 in the mean where 1.6 are, at most 4.5 in the output's",
        ),
        ([[3, 3]] * 10, "up to 3 output steps where 8 are allowed, and by 3 in the mean where 1.6 are, at most 1.5 in"),
    ],
    ids=["once too far", "everywhere off"],
)
def test_more_steps_than_allowed_fail_with_the_runtime_and_the_figures(got: list[list[int]], complaint: str):
    rows = _compare(_int8_model("action"), _trials([[0, 0]] * 10, got), 8)
    assert rows[1]["status"] == "failed"
    with pytest.raises(errors.ParityError, match=f"runtime 1 differs by {complaint}"):
        verification.check(rows, {"action_error_mean_share": 0.0}, verification.VerificationConfig(), "use x")


def test_a_few_outputs_that_round_otherwise_pass():
    rows = _compare(_int8_model("action"), _trials([[0, 0]] * 4, [[0, 0], [5, 0], [0, 1], [0, 0]]), 8)
    assert rows[1]["status"] == "passed" and rows[1]["mean_steps"] == 0.75


def test_outputs_that_are_not_numbers_fail():
    model = edge_model.EdgeModel(b"", "float32", "action", (), None, None)
    trials = [
        trial.Trial(str(i), "", np.asarray([[value], [1.0]], np.float32)) for i, value in enumerate((0.0, np.nan))
    ]
    assert _compare(model, trials, 2)[1]["status"] == "failed"


@pytest.mark.parametrize(
    ("figures", "complaint"),
    [
        (
            {"action_error_mean_share": 0.06},
            "action_error_mean_share is 0.06, 0.05 is allowed; use x, or raise --max_error_share",
        ),
        ({"regret_share": 0.2}, "regret_share is 0.2"),
        ({"regret_share": float("nan")}, "regret_share is nan"),
    ],
    ids=["actions", "q_values", "not a number"],
)
def test_a_policy_that_is_off_the_float_one_is_refused(figures: dict[str, float], complaint: str):
    with pytest.raises(errors.ParityError, match=complaint):
        verification.check([], figures, verification.VerificationConfig(), "use x,")


def test_float_figures_go_by_the_kind_of_action():
    discrete = environment_spec.EnvironmentSpec("gym:x", (), num_actions=2)
    got, expected = np.asarray([[1.0, 2]], np.float32), np.asarray([[2.0, 1]], np.float32)
    assert verification.float_figures(discrete, got, expected)["regret_share"] == 1
    arm = verification.float_figures(tiny_policies.ARM_SPEC, got, expected)
    assert arm["action_error_mean_share"] == pytest.approx(1 / 4)
    assert "sqnr_db" not in verification.float_figures(tiny_policies.ARM_SPEC, got, got)  # infinite, which JSON lacks


def test_the_first_runtime_has_to_run_the_model():
    def refuse(runtime: trial.Runtime, model: bytes, inputs: np.ndarray) -> trial.Trial:
        return trial.Trial(runtime.name, "", None, "unknown operator")

    with pytest.raises(errors.ConversionError, match=r"ai-edge-litert xnnpack .* unknown operator"):
        verification.run_trials(_int8_model("action"), np.zeros((1, 1), np.int8), _RUNTIMES, refuse)


def test_the_mean_is_that_of_the_telling_observations():
    trials = _trials([[0, 0]] * 4, [[0, 0], [0, 0], [0, 0], [3, 3]])
    limits = tolerance.Tolerance(np.full((4, 2), 8.0), None)
    rows = [verification.compare(_int8_model("action"), trials, limits, np.asarray(some))[1] for some in ([0, 3], [3])]
    assert [row["status"] for row in rows] == ["passed", "failed"]
    assert [row["mean_steps"] for row in rows] == [1.5, 3]


def test_each_observation_has_to_be_within_its_limit_the_telling_or_not():
    trials = _trials([[0, 0], [0, 0]], [[0, 0], [0, 9]])
    limits = tolerance.Tolerance(np.full((2, 2), 8.0), None)
    (_, row) = verification.compare(_int8_model("action"), trials, limits, np.asarray([0]))
    assert (row["status"], row["mean_steps"]) == ("failed", 0)


def test_the_worst_output_is_the_one_that_is_off_most_by_what_it_may_be():
    limits = tolerance.Tolerance(np.asarray([[40.0, 2]] * 4), None)
    (_, row) = verification.compare(
        _int8_model("action"), _trials([[0, 0]] * 4, [[20, 3], *[[0, 0]] * 3]), limits, np.arange(4)
    )
    assert (row["status"], row["max_steps"], row["worst_steps"], row["allowed_steps"]) == ("failed", 20, 3, 2)
