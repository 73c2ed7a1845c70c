"""Calls to a Reverb server, with typed answers and errors of ours."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import reverb
from reverb import errors as reverb_errors

from tfquarl.core import errors


class Item(NamedTuple):
    """An item of one tensor.

    Attributes:
      key: its name, a random uint64.
      priority: as it was inserted or updated.
      value: the tensor.
    """

    key: int
    priority: float
    value: np.ndarray


def server_info(client: reverb.Client, timeout_sec: int) -> Mapping[str, Any]:
    """What `reverb.Client.server_info` tells, by table.

    Raises:
      RemoteTimeoutError: the server does not answer within `timeout_sec`, or can't be reached.
    """
    try:
        return client.server_info(timeout_sec)
    except (reverb_errors.DeadlineExceededError, RuntimeError) as error:
        raise errors.RemoteTimeoutError(
            f"Reverb server {client.server_address}: no answer within {timeout_sec} s; is it alive?"
        ) from error


def sample(client: reverb.Client, table: str, num_items: int = 1) -> list[Item]:
    """Items of a table that has some; waits for ever where it has none."""
    samples: Any = client.sample(table, num_items, emit_timesteps=False)
    return [Item(int(item.info.key), float(item.info.priority), item.data[0]) for item in samples]
