"""What every environment passes at its border: spaces that fit, flat observations, finite numbers."""

from collections.abc import Iterable
import math

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors

FITS = (
    "tfquarl takes vectors of numbers as observations (one, or a dictionary of them) and either discrete actions or "
    "continuous ones with finite bounds; put a wrapper around the environment that gives these"
)


def observation_fields(
    name: str, arrays: Iterable[tuple[str, tuple[int, ...], np.dtype]]
) -> tuple[environment_spec.ObservationField, ...]:
    """Fields of a flat observation that holds arrays (name, shape, dtype) one after another, in the order given.

    Raises:
      TaskError: an array is a picture, or has a dtype that is no number.
    """
    fields, offset = [], 0
    for key, shape, dtype in arrays:
        if dtype.kind not in "fiub" or (dtype == np.uint8 and len(shape) >= 2):
            raise errors.TaskError(f"{name}: observation '{key}' is {dtype}{list(shape)}; {FITS}")
        field = environment_spec.ObservationField(key, tuple(int(size) for size in shape), offset)
        fields.append(field)
        offset += field.size
    if not offset:
        raise errors.TaskError(f"{name}: its observation is empty; {FITS}")
    return tuple(fields)


def action_bounds(name: str, low: np.ndarray, high: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Bounds of a continuous action, as `EnvironmentSpec` has them.

    Raises:
      TaskError: a bound is infinite or leaves no room.
    """
    low, high = np.ravel(low).astype(np.float32), np.ravel(high).astype(np.float32)
    if not low.size or not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise errors.TaskError(f"{name}: its actions lie between {low.tolist()} and {high.tolist()}; {FITS}")
    return tuple(low.tolist()), tuple(high.tolist())


def check_finite(spec: environment_spec.EnvironmentSpec, observation: np.ndarray, reward: float) -> None:
    """Stops NaN and infinity where they enter.

    The squares' sum decides in most cases: it is several times cheaper than looking at each element, and finite only where
    all of them are.

    Raises:
      NumericalError: with the observation field's name, its index within the field and within the observation, or the reward.
    """
    if math.isfinite(observation.dot(observation)) and math.isfinite(reward):
        return
    if not math.isfinite(reward):
        raise errors.NumericalError(f"{spec.name}: its reward is {reward}; the fault is in the environment")
    for field in spec.observation_fields:
        values = observation[field.offset : field.offset + field.size]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise errors.NumericalError(
                f"{spec.name}: observation '{field.name}'[{bad[0]}] is {values[bad[0]]} (feature {field.offset + bad[0]}, "
                f"{len(bad)} of {field.size} are not finite); the fault is in the environment, or the actions drove it out of its range"
            )


def checked_frame(name: str, frame: object) -> np.ndarray:
    """`frame`, if it is a picture.

    Raises:
      TaskError: it isn't one, so the environment can't draw itself.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        kind = f"{frame.dtype}{list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise errors.TaskError(f"{name}: drew a {kind}, a video needs uint8[height, width, 3]; record another task")
    return np.array(frame)
