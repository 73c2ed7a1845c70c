"""Where the figures of a run go: `RunMetrics` writes metrics.jsonl and one TensorBoard event file per group."""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import pathlib
import re
import time
import types

from tfquarl.metrics import event_files
from tfquarl.metrics import jsonl

METRICS_FILE = "metrics.jsonl"

_GROUP = re.compile(r"[a-z][a-z0-9_]*(/[a-z0-9_]+)?")


class RunMetrics:
    """A `MetricsSink` that keeps everything: metrics.jsonl, and event files in train/, eval/, collect/<i>/, convert/.

    One process writes, from one thread. What it was given is in metrics.jsonl at once and in the event files at most
    `flush_interval_sec` later, if rows keep coming.
    """

    def __init__(
        self,
        run_dir: pathlib.Path,
        flush_interval_sec: float = 2.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Opens metrics.jsonl in `run_dir`; where it has rows already the run's time counts on from its last one.

        Args:
          run_dir: an existing directory.
          flush_interval_sec: how long TensorBoard may have to wait for a row.
          clock: seconds, never going back.

        Raises:
          StorageError: `run_dir` can't be written.
          ArtifactError: the last line of its metrics.jsonl is no row.
        """
        self._run_dir = run_dir
        path = run_dir / METRICS_FILE
        self._file = jsonl.JsonLinesWriter(path)
        last = jsonl.last_row(path)
        past_sec = last.time_sec if last else 0.0
        self._clock, self._start_sec = clock, clock() - past_sec
        self._flush_interval_sec, self._flushed_sec = flush_interval_sec, clock()
        self._event_files: dict[str, event_files.EventFileWriter] = {}

    def elapsed_sec(self) -> float:
        """For how long the run has been going, in seconds; the `time_sec` of a row written now."""
        return self._clock() - self._start_sec

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Keeps the values of `group` at `step`, as of now.

        Raises:
          ValueError: `group` is no name like 'train' or 'collect/0'.
          StorageError: no space is left.
        """
        if not _GROUP.fullmatch(group):
            raise ValueError(f"metrics group '{group}' needs to look like 'train', 'collect/0' or 'system/learner'")
        self._file.write(jsonl.MetricRow(self.elapsed_sec(), group, step, values))
        if group not in self._event_files:
            self._event_files[group] = event_files.EventFileWriter(self._run_dir / group)
        self._event_files[group].write(step, values, time.time())
        if self._clock() - self._flushed_sec >= self._flush_interval_sec:
            self.flush()

    def flush(self) -> None:
        """Lets TensorBoard see all that was written."""
        self._flushed_sec = self._clock()
        for writer in self._event_files.values():
            writer.flush()

    def close(self) -> None:
        """Ends all files, also where one of them can't be written any more; closing twice does nothing."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._file.close)
            for writer in self._event_files.values():
                stack.callback(writer.close)

    def __enter__(self) -> "RunMetrics":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()
