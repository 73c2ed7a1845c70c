"""Where a loop's time goes, at a cost of well under a microsecond a lap."""

import time


class Stopwatch:
    """Adds up the time between laps, by name.

    watch = Stopwatch()
    watch.start()
    for _ in range(num_steps):
        ...
        watch.lap('inference')
        ...
        watch.lap('environment')
    watch.shares()
    """

    __slots__ = ("_last_sec", "_total_sec")

    def __init__(self) -> None:
        self._total_sec: dict[str, float] = {}
        self._last_sec = time.perf_counter()

    def start(self) -> None:
        """Begins a lap; the time since the last one belongs to nothing."""
        self._last_sec = time.perf_counter()

    def lap(self, name: str) -> None:
        """Ends the present lap, which belongs to `name`, and begins the next."""
        now_sec = time.perf_counter()
        self._total_sec[name] = self._total_sec.get(name, 0.0) + now_sec - self._last_sec
        self._last_sec = now_sec

    def breakdown(self) -> dict[str, float]:
        """Seconds by name, in the order of the first laps."""
        return dict(self._total_sec)

    def shares(self) -> dict[str, float]:
        """Share of the whole by name, in [0, 1]; empty before the first lap."""
        whole_sec = sum(self._total_sec.values())
        return {name: total_sec / whole_sec for name, total_sec in self._total_sec.items()} if whole_sec > 0 else {}

    def reset(self) -> None:
        """Forgets all laps and begins one."""
        self._total_sec.clear()
        self.start()
