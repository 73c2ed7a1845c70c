"""How far a quantized policy is from the float one: the figures, in numpy."""

import numpy as np


def action_figures(got: np.ndarray, expected: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, float]:
    """Errors of continuous actions.

    Args:
      got: actions of the quantized policy, float32 [M, A].
      expected: actions of the float policy, float32 [M, A].
      low: lower bounds [A].
      high: upper bounds [A].

    Returns:
      'action_error_max' and 'action_error_mean' in action units; 'action_error_max_share' and 'action_error_mean_share' of
      each action's range.
    """
    error = np.abs(got.astype(np.float64) - expected)
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
