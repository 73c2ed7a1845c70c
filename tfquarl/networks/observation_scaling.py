"""Observations measured by their own spread and range before they are quantized: the same policy in another unit for each feature.

One step of an int8 input serves all features, so that a velocity of hundreds leaves a few steps to an angle. Any offset o and scale
s per feature can stand in the policy's observation scaling where the first layer takes them back:

    x = ((observation - o) * s)        kernel' = kernel * (s_before / s)        bias' = bias + ((o - o_before) * s_before) @ kernel

Only what is rounded to integers changes. Features of one range would use all steps each, and be cut off as soon as they leave what was
seen of them, with weights of the first layer that differ most; features of one standard deviation leave the steps to the one of the
rarest large values. What is least wrong on average lies between the two (docs/results/rounding_preparations.md).
"""

from collections.abc import Mapping

import numpy as np

OFFSET, SCALE = "observation_scaling/offset", "observation_scaling/scale"
RANGE_SHARE = 0.75

# A feature counts as constant where what varies of it is rounding, or moves the first layer this much less than the feature that moves
# it most: a comparison that no unit of measurement changes. It gets the widest unit of the others, as what varies later would otherwise be
# far beyond its range, but none with which its row of the kernel were larger than the others', which share their steps with it: a policy
# that divides by spreads multiplies what has none by anything up to 1e8.
_CONSTANT_SHARE = 1e-6
_ROUNDING_SHARE = 4 * float(np.finfo(np.float32).eps)


def is_identity(variables: Mapping[str, np.ndarray]) -> bool:
    """Whether the scaling leaves observations as they are."""
    return not np.any(variables[OFFSET] != 0) and not np.any(variables[SCALE] != 1)


def scale_features(
    variables: Mapping[str, np.ndarray], observations: np.ndarray, range_share: float = RANGE_SHARE
) -> dict[str, np.ndarray]:
    """Variables of the same policy whose scaling takes off the middle of each feature's range and divides by a unit of its own.

    Args:
      variables: of the policy, float32 by name.
      observations: float32 [N, D], as the environment gives them.
      range_share: a in standard_deviation^(1 - a) * half_range^a, the unit; in [0, 1].

    Returns:
      All variables; they stay as they are where float32 can't hold the new ones, or a value isn't finite.
    """
    with np.errstate(all="ignore"):
        lowest, highest = observations.min(axis=0).astype(np.float64), observations.max(axis=0).astype(np.float64)
        offset = ((lowest + highest) / 2).astype(np.float32)
        spread = observations.std(axis=0, dtype=np.float64)
        old_offset, old_scale = (variables[name].astype(np.float64) for name in (OFFSET, SCALE))
        kernel = variables["dense_0/kernel"].astype(np.float64)
        weight = np.abs(old_scale) * np.linalg.norm(kernel, axis=1)
        effect = spread * weight
        is_rounding = spread <= _ROUNDING_SHARE * np.maximum(np.abs(lowest), np.abs(highest))
        varies = ~is_rounding & (effect > _CONSTANT_SHARE * effect.max())
        unit = spread ** (1 - range_share) * ((highest - lowest) / 2) ** range_share
        if varies.any():
            widest, largest = unit[varies].max(), (unit * weight)[varies].max()
            unit = np.where(varies, unit, np.minimum(np.maximum(unit, widest), largest / weight))
        scale = (1 / np.where(unit > 0, unit, 1.0)).astype(np.float32)
        bias = variables["dense_0/bias"] + ((offset - old_offset) * old_scale) @ kernel
        changed = {
            OFFSET: offset,
            SCALE: scale,
            "dense_0/kernel": (kernel * (old_scale / scale)[:, np.newaxis]).astype(np.float32),
            "dense_0/bias": bias.astype(np.float32),
        }
    if not all(np.isfinite(value).all() for value in changed.values()) or not scale.all():
        return dict(variables)
    return {name: changed.get(name, value) for name, value in variables.items()}
