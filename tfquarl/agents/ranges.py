"""Ranges of an agent's settings, which its builder checks when it is made: before any process starts."""

from collections.abc import Sequence
import math
from typing import Any

from tfquarl.core import errors
from tfquarl.networks import architecture


def check_whole(settings: Any, least: int, names: Sequence[str]) -> None:
    """Raises ConfigError for the first of some whole numbers of `settings` that is below `least`."""
    for name in names:
        value = getattr(settings, name)
        if value < least:
            raise errors.ConfigError(f"{name} is {value}, needs {least} or more")


def check_positive(settings: Any, names: Sequence[str]) -> None:
    """Raises ConfigError for the first of some numbers of `settings` that is not finite and more than 0; None is none of them."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise errors.ConfigError(f"{name} is {value}, needs a finite number above 0")


def check_not_negative(settings: Any, names: Sequence[str]) -> None:
    """Raises ConfigError for the first of some numbers of `settings` that is not finite and 0 or more."""
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value < math.inf:
            raise errors.ConfigError(f"{name} is {value}, needs a finite number, 0 or more")


def check_shares(settings: Any, names: Sequence[str]) -> None:
    """Raises ConfigError for the first of some numbers of `settings` that is not in [0, 1]."""
    for name in names:
        value = getattr(settings, name)
        if not 0 <= value <= 1:
            raise errors.ConfigError(f"{name} is {value}, needs a value in [0, 1]")


def check_one_of(settings: Any, name: str, known: Sequence[str]) -> None:
    """Raises ConfigError where a word of `settings` is not one of `known`."""
    value = getattr(settings, name)
    if value not in known:
        raise errors.ConfigError(f"{name} is '{value}', needs one of {', '.join(known)}")


def check_layers(settings: Any, names: Sequence[str]) -> None:
    """Raises ConfigError for an activation that is unknown, and for hidden layers that are none or have no units.

    Args:
      settings: with an `activation`.
      names: of its sizes of hidden layers.
    """
    check_one_of(settings, "activation", architecture.ACTIVATIONS)
    for name in names:
        sizes = getattr(settings, name)
        if not sizes or min(sizes) < 1:
            raise errors.ConfigError(f"{name} is {sizes}, needs the units of one layer or more, each 1 or more")


def check_target_updates(settings: Any) -> None:
    """Raises ConfigError where `target_update_period` or `target_update_tau` would never bring the target network forward."""
    check_whole(settings, 1, ["target_update_period"])
    check_positive(settings, ["target_update_tau"])
    check_shares(settings, ["target_update_tau"])


def check_atoms(settings: Any, least: int) -> None:
    """Raises ConfigError where there are fewer than `least` atoms, or no room for several between `v_min` and `v_max`."""
    check_whole(settings, least, ["num_atoms"])
    if settings.num_atoms > 1 and not -math.inf < settings.v_min < settings.v_max < math.inf:
        raise errors.ConfigError(
            f"v_min is {settings.v_min} and v_max {settings.v_max}, needs v_min < v_max around the task's discounted returns"
        )
