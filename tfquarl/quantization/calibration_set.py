"""Which observations calibrate: the newest, and of those before them the ones that lie farthest out.

Ranges that are calibrated on the newest observations alone cut off what is rare, and one cut-off input can turn an action around.
The time of a conversion grows with the number of observations, so that a few of a longer past stand for all of it.
"""

import numpy as np

# Of the chosen ones.
_FAR_SHARE = 0.25


def choose(observations: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the observations, in their order.

    Args:
      observations: float32 [N, D], oldest first.
      count: 1 or more; a quarter is chosen by the largest distance from a feature's mean in standard deviations.

    Returns:
      float32 [min(N, count), D].
    """
    if len(observations) <= count:
        return observations
    num_far = int(_FAR_SHARE * count)
    num_older = len(observations) - (count - num_far)
    center, spread = observations.mean(axis=0), observations.std(axis=0)
    distance = np.abs(observations[:num_older] - center) / np.maximum(spread, np.finfo(np.float32).tiny)
    far = np.argsort(distance.max(axis=1), kind="stable")[num_older - num_far :]
    return observations[np.concatenate([np.sort(far), np.arange(num_older, len(observations))])]
