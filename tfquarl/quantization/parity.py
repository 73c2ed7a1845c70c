"""How far a quantized policy is from the float one: the figures, in numpy."""

from collections.abc import Sequence

import numpy as np

LABELS = {
    "greedy_agreement": ("greedy actions that agree", True),
    "q_error_max": ("largest q_value error", False),
    "q_error_mean": ("mean q_value error", False),
    "q_spread": ("mean spread of the q_values", False),
    "q_error_mean_share": ("mean q_value error, of that spread", True),
    "regret_share": ("value given away by other choices, of that spread", True),
    "action_error_max": ("largest action error", False),
    "action_error_mean": ("mean action error", False),
    "action_error_max_share": ("largest action error, of the range", True),
    "action_error_mean_share": ("mean action error, of the range", True),
}
"""What people call each figure, and whether it is a share, 1 of which is 100 %."""


def figures(
    got: np.ndarray,
    expected: np.ndarray,
    low: Sequence[float] | np.ndarray | None = None,
    high: Sequence[float] | np.ndarray | None = None,
) -> dict[str, float]:
    """Those of `action_figures` where the outputs have bounds, else those of `q_figures`.

    Args:
      got: outputs of the quantized policy, float32 [M, O].
      expected: outputs of the float policy, float32 [M, O].
      low: lower bounds of the actions [O]; None where the outputs are q_values.
      high: upper bounds.
    """
    if low is None or high is None:
        return q_figures(got, expected)
    return action_figures(got, expected, np.asarray(low), np.asarray(high))


def action_figures(got: np.ndarray, expected: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, float]:
    """Errors of continuous actions, which are outputs clipped to the bounds: nothing acts by what lies beyond them.

    Args:
      got: outputs of the quantized policy, float32 [M, A].
      expected: outputs of the float policy, float32 [M, A].
      low: lower bounds [A].
      high: upper bounds [A].

    Returns:
      'action_error_max' and 'action_error_mean' in action units; 'action_error_max_share' and 'action_error_mean_share' of
      each action's range.
    """
    acted, exact = (np.clip(values.astype(np.float64), low, high) for values in (got, expected))
    error = np.abs(acted - exact)
    share = error / (np.asarray(high, np.float64) - low)
    return {
        "action_error_max": float(error.max()),
        "action_error_mean": float(error.mean()),
        "action_error_max_share": float(share.max()),
        "action_error_mean_share": float(share.mean()),
    }


def q_figures(got: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Errors of action values.

    Args:
      got: q_values of the quantized policy, float32 [M, num_actions].
      expected: q_values of the float policy, float32 [M, num_actions].

    Returns:
      'greedy_agreement': share of observations for which both prefer the same action; 'q_error_max' and 'q_error_mean' in
      units of return; 'q_spread': mean over observations of the largest minus the smallest value; 'q_error_mean_share' of
      that spread, 0 of a single action, whose choice no error changes; 'regret_share': mean value, by the float policy, that the
      quantized policy's choice gives away, of that spread.
    """
    exact = expected.astype(np.float64)
    error = np.abs(got - exact)
    spread = float((exact.max(axis=1) - exact.min(axis=1)).mean())
    choice = got.argmax(axis=1)
    regret = float((exact.max(axis=1) - exact[np.arange(len(exact)), choice]).mean())
    return {
        "greedy_agreement": float((choice == exact.argmax(axis=1)).mean()),
        "q_error_max": float(error.max()),
        "q_error_mean": float(error.mean()),
        "q_spread": spread,
        "q_error_mean_share": _share(float(error.mean()), spread) if exact.shape[1] > 1 else 0.0,
        "regret_share": _share(regret, spread),
    }


def sqnr_db(got: np.ndarray, expected: np.ndarray) -> float:
    """Signal to quantization noise ratio in decibels, 10 log10(sum expected^2 / sum (got - expected)^2); inf without noise."""
    exact = expected.astype(np.float64)
    noise = float(np.square(got - exact).sum())
    signal = float(np.square(exact).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _share(value: float, whole: float) -> float:
    return value / whole if whole > 0 else float(value > 0)
