"""Settings of the replay and its flow control, as a value that needs neither Reverb nor TensorFlow."""

import dataclasses
import math

from tfquarl.core import errors

_MAX_ITEMS_IN_FLIGHT = 48


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """What the replay keeps, how it is sampled, and how far collectors and learner may run apart.

    Attributes:
      max_size: transitions kept; the oldest goes first.
      min_size_to_sample: transitions before the learner gets its first sample.
      samples_per_insert: samples that the learner takes of each transition on average (batch size times train steps per env step):
        whoever is ahead waits; None lets both run free after `min_size_to_sample`.
      error_buffer: samples by which the ratio may be off before somebody waits; None takes a tenth of
        `min_size_to_sample * samples_per_insert`, and at least 8 times what one step moves it.
      priority_exponent: alpha of prioritised replay (arXiv 1511.05952, eq. 1); None samples uniformly.
      initial_priority: of a new transition; best about the largest that the learner gives, so that each is soon seen.
      rows_per_item: transitions of a collector that travel and are kept as one item of the replay, because an item costs it far more
        than a row; a batch still holds transitions of as many different items as it has rows. With priorities it is 1 whatever this
        says: each transition has its own.
      max_in_flight: transitions that a collector may have written and the replay not yet taken; more is faster, fewer keep
        `samples_per_insert` more exactly. A collector whose steps are slow has fewer by itself.
      observation_every: least steps of a collector between two observations that it gives for calibration and parity; more by itself where
        its environment is fast, and each of them until the first blocks are full.
      observation_block: observations that are sent together, half of them for calibration, half for parity.
      observation_blocks: newest blocks kept.
      checkpoint_period_sec: seconds between checkpoints of the whole replay, for which the server answers nobody; more where they would
        take over 5 % of the time. There is one at the end of a run in any case.
    """

    max_size: int = 100_000
    min_size_to_sample: int = 1_000
    samples_per_insert: float | None = None
    error_buffer: float | None = None
    priority_exponent: float | None = None
    initial_priority: float = 1.0
    rows_per_item: int = 1
    max_in_flight: int = 48
    observation_every: int = 8
    observation_block: int = 16
    observation_blocks: int = 160
    checkpoint_period_sec: float = 60.0

    def __post_init__(self) -> None:
        for name in (
            "max_size",
            "min_size_to_sample",
            "rows_per_item",
            "max_in_flight",
            "observation_every",
            "observation_blocks",
        ):
            if getattr(self, name) < 1:
                raise errors.ConfigError(f"{name} is {getattr(self, name)}, needs 1 or more")
        if not self.checkpoint_period_sec > 0:
            raise errors.ConfigError(f"checkpoint_period_sec is {self.checkpoint_period_sec}, needs more than 0")
        if self.observation_block < 2:
            raise errors.ConfigError(
                f"observation_block is {self.observation_block}, needs 2 or more: calibration and parity each take a half"
            )
        if self.min_size_to_sample > self.max_size:
            raise errors.ConfigError(
                f"min_size_to_sample is {self.min_size_to_sample} and max_size {self.max_size}: the replay would never be full"
                f" enough and the learner wait for ever; raise max_size"
            )
        self._check_ratio()
        self._check_priorities()

    @property
    def rows_in_item(self) -> int:
        """Transitions that an item of this replay has."""
        return self.rows_per_item if self.priority_exponent is None else 1

    @property
    def items_in_flight(self) -> int:
        """Items that hold up to `max_in_flight` transitions; at least one, and no more than Reverb takes without a warning for each."""
        return min(max(1, self.max_in_flight // self.rows_in_item), _MAX_ITEMS_IN_FLIGHT)

    @property
    def ratio_error_buffer(self) -> float:
        """`error_buffer`, or what stands for it; 0 without a ratio."""
        if self.samples_per_insert is None:
            return 0.0
        if self.error_buffer is not None:
            return self.error_buffer
        return max(0.1 * self.min_size_to_sample * self.samples_per_insert, 8 * max(1.0, self.samples_per_insert))

    def _check_ratio(self) -> None:
        ratio, buffer = self.samples_per_insert, self.error_buffer
        if ratio is None:
            if buffer is not None:
                raise errors.ConfigError(
                    f"error_buffer is {buffer} and samples_per_insert None: there is no ratio to be off from; give both or none"
                )
            return
        if not (ratio > 0 and math.isfinite(ratio)):
            raise errors.ConfigError(f"samples_per_insert is {ratio}, needs a positive number, or None")
        least = max(1.0, ratio)
        if buffer is not None and not (buffer >= least and math.isfinite(buffer)):
            raise errors.ConfigError(
                f"error_buffer is {buffer}, needs {least:g} or more with samples_per_insert {ratio:g}: otherwise collectors and"
                f" learner would each wait for the other for ever"
            )

    def _check_priorities(self) -> None:
        exponent = self.priority_exponent
        if exponent is not None and not 0 <= exponent <= 1:
            raise errors.ConfigError(f"priority_exponent is {exponent}, needs a value in [0, 1], or None")
        if not (self.initial_priority > 0 and math.isfinite(self.initial_priority)):
            raise errors.ConfigError(
                f"initial_priority is {self.initial_priority}, needs a positive number: a transition of priority 0 is never sampled"
            )
