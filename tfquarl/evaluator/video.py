"""An episode as a film."""

import pathlib
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.runtime import action_selection

SUFFIXES = (".mp4", ".gif")


def record(
    environment: interfaces.SeedableEnvironment,
    policy: interfaces.Policy,
    path: pathlib.Path,
    seed: int,
    max_frames: int = 1000,
    frames_per_second: int = 30,
) -> float:
    """Plays one episode greedily and films it.

    Args:
      environment: made with `can_render`.
      policy: takes batches of one.
      path: of the film; its suffix, '.mp4' or '.gif', says which kind.
      seed: decides the episode.
      max_frames: steps after which the film ends, the episode with it.
      frames_per_second: of the film.

    Returns:
      The episode's return, up to the film's end.

    Raises:
      ConfigError: another suffix.
      TaskError: the environment can't draw itself, or the film can't be written.
    """
    if path.suffix not in SUFFIXES:
        raise errors.ConfigError(f"video '{path}' needs a name that ends in {' or '.join(SUFFIXES)}")
    from imageio import v2 as imageio  # Only films need it; it would cost every evaluator its memory.

    environment.seed(seed)
    observation, total, is_over = environment.reset(), 0.0, False
    options: dict[str, Any] = (
        {"fps": frames_per_second, "macro_block_size": 2}
        if path.suffix == ".mp4"
        else {"duration": 1000 / frames_per_second, "loop": 0}
    )
    try:
        writer: Any  # imageio's stubs know no `append_data`.
        with imageio.get_writer(path, **options) as writer:
            writer.append_data(environment.render())
            for _ in range(max_frames - 1):
                if is_over:
                    break
                action = action_selection.greedy(policy(observation[np.newaxis]), environment.spec)[0]
                observation, reward, terminated, truncated = environment.step(action)
                total, is_over = total + reward, terminated or truncated
                writer.append_data(environment.render())
    except (OSError, ValueError, RuntimeError) as error:
        raise errors.TaskError(f"video '{path}' can't be written: {error}; try the other of {SUFFIXES}") from error
    return total
