"""The Reverb tables: experience and observations, and the shape of a table that holds only the newest item."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import reverb
import tensorflow as tf

from tfquarl.core import errors
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import transition

EXPERIENCE = "experience"
OBSERVATIONS = "observations"

_SERVER_INFO_SEC = 20


@dataclasses.dataclass(frozen=True)
class TableShape:
    """What a client needs a table of the server to be.

    Attributes:
      name: of the table.
      shape: of its items; None where any size will do.
      dtype: of its items.
      max_size: number of its items; None if any will do.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    max_size: int | None = None

    def failures(self, info: Mapping[str, Any]) -> list[str]:
        """All that is wrong with this table, by the `server_info` of a client."""
        if self.name not in info:
            return [f"it has no table '{self.name}', only {', '.join(sorted(info)) or 'none'}"]
        table = info[self.name]
        found = []
        if self.max_size is not None and table.max_size != self.max_size:
            found.append(f"table '{self.name}' holds {table.max_size} items, needs {self.max_size}")
        needed = f"{self.dtype}{list(self.shape)}"
        if table.signature is None:
            found.append(f"table '{self.name}' has no signature, needs {needed}")
        elif not _matches(table.signature, self.shape, self.dtype):
            found.append(f"table '{self.name}' has items {table.signature}, needs {needed}")
        return found


def _matches(signature: Any, shape: tuple[int | None, ...], dtype: str) -> bool:
    if not isinstance(signature, tf.TensorSpec):
        return False
    return signature.dtype == dtype and signature.shape.rank is not None and tuple(signature.shape) == shape


def table_failures(client: reverb.Client, shapes: Sequence[TableShape]) -> list[str]:
    """All that is wrong with the server's tables.

    Raises:
      RemoteTimeoutError: the server does not answer.
    """
    info = server_calls.server_info(client, _SERVER_INFO_SEC)
    return [failure for shape in shapes for failure in shape.failures(info)]


def check_tables(client: reverb.Client, shapes: Sequence[TableShape]) -> None:
    """Checks that the server's tables are the ones that this client writes or reads.

    Raises:
      ConfigError: with every failure.
      RemoteTimeoutError: the server does not answer.
    """
    failures = table_failures(client, shapes)
    if failures:
        raise errors.ConfigError(
            f"Reverb server {client.server_address}: {'; '.join(failures)}; was it started for another environment?"
        )


def make_tables(config: replay_config.ReplayConfig, layout: transition.TransitionLayout) -> list[reverb.Table]:
    """Tables 'experience', rows [rows_in_item, row_size] per item, and 'observations', a block [observation_block, D] per item.

    Observations for calibration have a table of their own, because samples of 'experience' count in its ratio.
    """
    return [_experience_table(config, layout), _observation_table(config, layout)]


def make_newest_item_table(name: str, shape: list[int | None], dtype: str) -> reverb.Table:
    """A table of one item, the newest, with an explicit signature; sampling waits for the first.

    Args:
      name: of the table.
      shape: of its items.
      dtype: of its items, e.g. 'uint8'.
    """
    return reverb.Table(
        name=name,
        sampler=reverb.selectors.Lifo(),
        remover=reverb.selectors.Fifo(),
        max_size=1,
        rate_limiter=reverb.rate_limiters.MinSize(1),
        signature=tf.TensorSpec(shape, dtype, name),
    )


def experience_shape(config: replay_config.ReplayConfig, layout: transition.TransitionLayout) -> TableShape:
    """What writers and readers of 'experience' need it to be."""
    return TableShape(EXPERIENCE, (config.rows_in_item, layout.row_size), "float32")


def _experience_table(config: replay_config.ReplayConfig, layout: transition.TransitionLayout) -> reverb.Table:
    # The config counts transitions, Reverb counts items.
    rows = config.rows_in_item
    min_size = math.ceil(config.min_size_to_sample / rows)
    if config.samples_per_insert is None:
        limiter = reverb.rate_limiters.MinSize(min_size)
    else:
        least_buffer = max(
            1.0, config.samples_per_insert
        )  # one insert's worth of samples: Reverb can't keep the ratio with less
        buffer = max(config.ratio_error_buffer / rows, least_buffer)
        limiter = reverb.rate_limiters.SampleToInsertRatio(config.samples_per_insert, min_size, buffer)
    if config.priority_exponent is None:
        sampler = reverb.selectors.Uniform()
    else:
        sampler = reverb.selectors.Prioritized(config.priority_exponent)
    return reverb.Table(
        name=EXPERIENCE,
        sampler=sampler,
        remover=reverb.selectors.Fifo(),
        max_size=max(min_size, config.max_size // rows),
        rate_limiter=limiter,
        signature=tf.TensorSpec(experience_shape(config, layout).shape, tf.float32, EXPERIENCE),
    )


def _observation_table(config: replay_config.ReplayConfig, layout: transition.TransitionLayout) -> reverb.Table:
    return reverb.Table(
        name=OBSERVATIONS,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        max_size=config.observation_blocks,
        rate_limiter=reverb.rate_limiters.MinSize(1),
        signature=tf.TensorSpec([config.observation_block, layout.observation_size], tf.float32, OBSERVATIONS),
    )
