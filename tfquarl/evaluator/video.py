"""An episode as a film."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.metrics import return_text
from tfquarl.runtime import action_selection

SUFFIXES = (".mp4", ".gif")


@dataclasses.dataclass(frozen=True)
class FilmedEpisode:
    """What a film shows.

    Attributes:
      total_reward: up to the film's end; the episode's return where `is_whole`.
      num_steps: of the episode, up to the film's end.
      is_whole: whether the episode ended before the film did.
    """

    total_reward: float
    num_steps: int
    is_whole: bool

    def describe(self) -> str:
        """'an episode with return 12.0', or how much of one."""
        if self.is_whole:
            return f"an episode with return {return_text.of(self.total_reward)}"
        return f"the first {self.num_steps} steps of an episode, return so far {return_text.of(self.total_reward)}"


def record(
    environment: interfaces.SeedableEnvironment,
    policy: interfaces.Policy,
    path: pathlib.Path,
    seed: int,
    max_steps: int = 1000,
    frames_per_second: int = 30,
) -> FilmedEpisode:
    """Plays one episode greedily and films it. A film that was there is replaced once the new one is whole.

    Args:
      environment: made with `can_render`.
      policy: takes batches of one.
      path: of the film; its suffix, '.mp4' or '.gif', says which kind.
      seed: decides the episode.
      max_steps: after which the film ends, the episode with it; there is a frame of each step and one of the beginning.
      frames_per_second: of the film.

    Raises:
      ConfigError: another suffix.
      TaskError: the environment can't draw itself, or the film can't be written.
    """
    if path.suffix not in SUFFIXES:
        raise errors.ConfigError(f"video '{path}' needs a name that ends in {' or '.join(SUFFIXES)}")
    environment.seed(seed)
    observation, total, num_steps, is_over = environment.reset(), 0.0, 0, False
    with _open_film(path, frames_per_second) as append:
        append(environment.render())
        while not is_over and num_steps < max_steps:
            action = action_selection.greedy(policy(observation[np.newaxis]), environment.spec)[0]
            observation, reward, terminated, truncated = environment.step(action)
            total, num_steps, is_over = total + reward, num_steps + 1, terminated or truncated
            append(environment.render())
    return FilmedEpisode(total, num_steps, is_over)


@contextlib.contextmanager
def _open_film(path: pathlib.Path, frames_per_second: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Gives the function that takes the frames; they become the file at `path` where the block ends well."""
    from imageio import v2 as imageio  # Only films need it; it would cost every evaluator its memory.

    options: dict[str, Any] = (
        {"fps": frames_per_second, "macro_block_size": 2}
        if path.suffix == ".mp4"
        else {"duration": 1000 / frames_per_second, "loop": 0}
    )
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    with _refusals(path):
        writer: Any = imageio.get_writer(temporary, **options)  # its stubs know no `append_data`

    def append(frame: np.ndarray) -> None:
        """Takes one frame."""
        with _refusals(path):
            writer.append_data(frame)

    try:
        yield append
        with _refusals(path):
            writer.close()
            temporary.replace(path)
    finally:
        writer.close()  # does nothing the second time
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _refusals(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise errors.TaskError(f"video '{path}' can't be written: {error}; try the other of {SUFFIXES}") from error
