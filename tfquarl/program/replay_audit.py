"""Transitions of a run that has ended, read from its last replay checkpoint, and what must hold of each of them."""

from collections.abc import Callable
import threading

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import run_directory

_TOLERANCE = 1e-4
_SERVER_INFO_SEC = 20
_TICK_SEC = 0.1
_MARKER = -12345.0


def read_rows(
    directory: run_directory.RunDirectory,
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
) -> np.ndarray:
    """Rows [M, row_size], those of twice as many draws as there are items: 86 % of them are expected among these.

    Raises:
      ArtifactError: the run has no replay checkpoint that can be read.
    """
    import reverb

    from tfquarl.program import replay_checkpoints
    from tfquarl.publication import publication_tables
    from tfquarl.replay import bounded_writer
    from tfquarl.replay import server_calls
    from tfquarl.replay import tables
    from tfquarl.replay import transition

    checkpoints = replay_checkpoints.ReplayCheckpoints(directory.replay)
    if checkpoints.newest() is None:
        raise errors.ArtifactError(f"{directory.replay} holds no replay that can be read")
    layout = transition.TransitionLayout.from_spec(spec)
    all_tables = tables.make_tables(experiment.replay, layout) + publication_tables.make_publication_tables()
    server = reverb.Server(all_tables, None, checkpoints.checkpointer())
    client = reverb.Client(f"localhost:{server.port}")
    size = server_calls.server_info(client, _SERVER_INFO_SEC)[tables.EXPERIENCE].current_size
    items: list[server_calls.Item] = []
    sampling = threading.Thread(
        target=lambda: items.extend(server_calls.sample(client, tables.EXPERIENCE, 2 * size)), daemon=True
    )
    sampling.start()
    marker = np.full((experiment.replay.rows_in_item, layout.row_size), _MARKER, np.float32)
    writer = bounded_writer.make_item_writer(client, tables.EXPERIENCE)
    bounded = bounded_writer.BoundedWriter(client, writer, _SERVER_INFO_SEC)
    while sampling.is_alive():  # the flow control that came with the transitions wants inserts for samples
        if bounded.try_wait(0, _TICK_SEC):
            writer.append(marker)
    bounded.close()
    server.stop()
    rows = [item.value for item in items if not np.array_equal(item.value, marker)]
    return np.concatenate(rows) if rows else np.zeros((0, layout.row_size), np.float32)


def faults(
    rows: np.ndarray,
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    check: Callable[[np.ndarray, np.ndarray, int], str | None] = lambda before, after, num_steps: None,
) -> list[str]:
    """What is wrong with any of the rows, of an environment that pays 1 a step: a row's parts have to be of one window.

    A reward of 1 a step tells how many steps a window has, by which its discount has to be that of as many; the action has to be one; and
    the observations have to lie as far apart as so many steps can bring them.

    Args:
      rows: of transitions [M, row_size].
      experiment: tells discount and n-step.
      spec: of the environment.
      check: what is wrong with the way from the first observation to the second in so many steps, if anything.
    """
    from tfquarl.replay import transition

    layout = transition.TransitionLayout.from_spec(spec)
    gamma, found = experiment.agent.discount, []
    rewards = np.cumsum(gamma ** np.arange(experiment.agent.n_step))
    for row in rows:
        num_steps = int(np.argmin(np.abs(rewards - row[layout.reward]))) + 1
        action = row[layout.action]
        if not np.isfinite(row).all():
            found.append(f"not finite: {row}")
        elif abs(rewards[num_steps - 1] - row[layout.reward]) > _TOLERANCE * num_steps:
            found.append(f"reward {row[layout.reward]} is that of no number of steps")
        elif min(abs(row[layout.discount]), abs(row[layout.discount] - gamma ** (num_steps - 1))) > _TOLERANCE:
            found.append(f"discount {row[layout.discount]} does not fit a window of {num_steps} steps")
        elif spec.num_actions is not None and not (action[0] == int(action[0]) and 0 <= action[0] < spec.num_actions):
            found.append(f"action {action[0]} is none of {spec.num_actions}")
        elif problem := check(row[layout.observation], row[layout.next_observation], num_steps):
            found.append(problem)
    return found
