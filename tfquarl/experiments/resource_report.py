"""One run directory in, a report of its processes out: how memory, open files and policies' age went, as table, PNG and JSON."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.experiments import page
from tfquarl.experiments import provenance
from tfquarl.experiments import training_report
from tfquarl.metrics import jsonl
from tfquarl.metrics import names
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.program import run_directory

_MIB = 2.0**20
_SETTLED = 0.1  # share of the run after which everything is loaded and the replay full
_BLOCKS = 10
_T_QUANTILE = 2.306  # 97.5 % of Student's t with _BLOCKS - 2 degrees of freedom
_HEADER = (
    "process",
    "MiB at 10 %",
    "at 50 %",
    "at 100 %",
    "MiB per hour",
    "95% interval",
    "with shared, MiB",
    "open files, 10 % and 100 %",
    "threads",
    "CPU time (s)",
)


@dataclasses.dataclass(frozen=True)
class Slope:
    """How fast a figure grows.

    Attributes:
      per_hour: its unit an hour.
      low: lower end of the 95 % interval.
      high: upper end.
    """

    per_hour: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ProcessCourse:
    """What one process took in the course of a run, and those that were started in its place.

    Attributes:
      name: of the process.
      time_sec: [N] seconds since the run began.
      values: [N] each, by the names of group 'system/<process>'.
    """

    name: str
    time_sec: np.ndarray
    values: Mapping[str, np.ndarray]

    def at(self, name: str, fraction: float) -> float:
        """The figure when `fraction` of the process's time had passed."""
        start, end = self.time_sec[0], self.time_sec[-1]
        return float(np.interp(start + fraction * (end - start), self.time_sec, self.values[name]))

    def lives(self) -> list["ProcessCourse"]:
        """The part of each start of the process, by its processor time, which begins anew then."""
        starts = np.flatnonzero(np.diff(self.values[names.CPU_SEC]) < 0) + 1
        parts = {name: np.split(values, starts) for name, values in self.values.items()}
        return [
            ProcessCourse(self.name, time_sec, {name: split[number] for name, split in parts.items()})
            for number, time_sec in enumerate(np.split(self.time_sec, starts))
        ]


def slope(time_sec: np.ndarray, values: np.ndarray) -> Slope:
    """Least squares through the means of ten equal parts of the time, with the t interval of that fit.

    One sample resembles the next, so that an interval of the single samples would be too narrow; means over minutes are nearly
    independent.

    Args:
      time_sec: [N], increasing, N >= 20.
      values: [N].

    Raises:
      ConfigError: fewer than 20 samples, or a part of the time without one.
    """
    if len(time_sec) < 2 * _BLOCKS:
        raise errors.ConfigError(
            f"a slope needs {2 * _BLOCKS} samples or more, got {len(time_sec)}: was the run too short?"
        )
    edges = np.linspace(time_sec[0], time_sec[-1], _BLOCKS + 1)
    block = np.clip(np.searchsorted(edges, time_sec, side="right") - 1, 0, _BLOCKS - 1)
    counts = np.bincount(block, minlength=_BLOCKS)
    if not counts.all():
        raise errors.ConfigError(
            "a tenth of the run has no samples of a process: did it hang, or was the machine asleep?"
        )
    hours = np.bincount(block, time_sec) / counts / 3600.0
    means = np.bincount(block, values) / counts
    spread = hours - hours.mean()
    per_hour = float(spread @ means / (spread @ spread))
    residuals = means - means.mean() - per_hour * spread
    error = math.sqrt(float(residuals @ residuals) / (_BLOCKS - 2) / float(spread @ spread))
    return Slope(per_hour, per_hour - _T_QUANTILE * error, per_hour + _T_QUANTILE * error)


def read_courses(rows: Iterable[jsonl.MetricRow]) -> list[ProcessCourse]:
    """The courses of a run's processes, by name; those of which there are less than two samples are left out."""
    by_process: dict[str, list[jsonl.MetricRow]] = {}
    for row in rows:
        kind, _, process = row.group.partition("/")
        if kind == names.SYSTEM:
            by_process.setdefault(process, []).append(row)
    return [
        ProcessCourse(
            process,
            np.array([row.time_sec for row in samples]),
            {name: np.array([row.values[name] for row in samples]) for name in samples[0].values},
        )
        for process, samples in sorted(by_process.items())
        if len(samples) > 1
    ]


def longest_policy_age_sec(rows: Iterable[jsonl.MetricRow]) -> float:
    """The longest that any collector's policy has been without a newer one, in seconds; NaN where no collector told."""
    ages = [row.values[names.POLICY_LONGEST_AGE_SEC] for row in rows if names.POLICY_LONGEST_AGE_SEC in row.values]
    return max(ages, default=math.nan)


def write_report(path: pathlib.Path, output: pathlib.Path) -> str:
    """Writes `output`.md, .json and .png; the Markdown text.

    Args:
      path: a run directory.
      output: path without suffix, in a directory that is there.

    Raises:
      ConfigError: it is no run directory, its run has not ended, or was too short.
      ArtifactError, StorageError: a file can't be read or written.
    """
    directory = run_directory.RunDirectory(path)
    summary, versions = directory.read_summary(), training_report.read_versions(path)
    rows = list(jsonl.read_rows(directory.metrics_file))
    courses = read_courses(rows)
    if not courses:
        raise errors.ConfigError(
            f"{path}: its metrics.jsonl tells nothing of processes, or only once; its run took {summary['wall_time_sec']:.0f} s, and the growth"
            f" of memory needs a few minutes; or was it made by an older version?"
        )
    slopes = {course.name: _slope(course) for course in courses}
    age_sec = longest_policy_age_sec(rows)
    curves = {course.name: _memory_curve(course) for course in courses}
    title = f"{summary['experiment']}: memory of each process"
    plots.lines(curves, f"{output}.png", "time (minutes)", "private memory (MiB)", title)
    text = _markdown(summary, versions, courses, slopes, age_sec, output.name)
    data = {
        "summary": summary,
        "versions": {**versions, "command": training_report.command(versions)},
        "longest_policy_age_sec": age_sec,
        "processes": {course.name: _data(course, slopes[course.name]) for course in courses},
    }
    page.write(output, text, data)
    return text


def _slope(course: ProcessCourse) -> Slope:
    """Of the private memory of its longest life, in MiB an hour, from the moment on when everything was loaded.

    Raises:
      ConfigError: the process was not there for long enough.
    """
    course = max(course.lives(), key=lambda life: life.time_sec[-1] - life.time_sec[0])
    start, end = course.time_sec[0], course.time_sec[-1]
    settled = course.time_sec >= start + _SETTLED * (end - start)
    if settled.sum() < 2 * _BLOCKS:
        period_sec = float(np.median(np.diff(course.time_sec)))
        needed_sec = period_sec * 2 * _BLOCKS / (1 - _SETTLED)
        raise errors.ConfigError(
            f"process '{course.name}' was watched for {end - start:.0f} s, a sample each {period_sec:.0f} s; the growth of its memory needs"
            f" {2 * _BLOCKS} of them after the first tenth: a run of {math.ceil(needed_sec / 60)} minutes or longer"
        )
    return slope(course.time_sec[settled], course.values[names.PRIVATE_BYTES][settled] / _MIB)


def _memory_curve(course: ProcessCourse) -> tuple[list[float], list[float]]:
    return (course.time_sec / 60).tolist(), (course.values[names.PRIVATE_BYTES] / _MIB).tolist()


def _markdown(
    summary: Mapping[str, Any],
    versions: Mapping[str, Any],
    courses: Sequence[ProcessCourse],
    slopes: Mapping[str, Slope],
    age_sec: float,
    name: str,
) -> str:
    lines = [
        f"# {summary['experiment']}",
        "",
        f"One run of {summary['wall_time_sec']:.0f} s on {provenance.machines([versions])}: {summary['status']} after"
        f" {summary['env_steps']:,} env steps",
        f"and {summary['train_steps']:,} train steps. Memory is what each process has written to for itself alone; its growth is fitted from",
        "10 % of the run on. 'With shared' adds its part of the pages that processes share, at the end.",
        "",
        table.format_markdown(_HEADER, [_row(course, slopes[course.name]) for course in courses]).rstrip(),
        "",
        *_starts(courses),
        f"The longest that any collector's policy was without a newer one: {age_sec:.1f} s.",
        "",
        page.picture("Memory of each process", f"{name}.png"),
        "",
        f"Command, at commit {provenance.commits([versions])}:",
        "",
        f"    {training_report.command(versions)}",
        "",
        f"Packages: {provenance.packages([versions])}.",
        f"Data: {name}.json.",
        "",
    ]
    return "\n".join(lines)


def _starts(courses: Sequence[ProcessCourse]) -> list[str]:
    """A sentence where processes were started more than once."""
    counts = {course.name: len(course.lives()) for course in courses}
    told = [f"{name} {count} times" for name, count in counts.items() if count > 1]
    if not told:
        return []
    return [f"Started several times: {', '.join(told)}. CPU time is of all lives, growth of the longest one.", ""]


def _row(course: ProcessCourse, growth: Slope) -> list[str | float | None]:
    memory = [course.at(names.PRIVATE_BYTES, fraction) / _MIB for fraction in (_SETTLED, 0.5, 1.0)]
    open_files = [round(course.at(names.OPEN_FILES, fraction)) for fraction in (_SETTLED, 1.0)]
    return [
        course.name,
        *memory,
        f"{growth.per_hour:.2f}",
        f"{growth.low:.2f} .. {growth.high:.2f}",
        course.at(names.PROPORTIONAL_BYTES, 1.0) / _MIB,
        " and ".join(map(str, open_files)),
        round(course.at(names.THREADS, 1.0)),
        float(sum(life.values[names.CPU_SEC][-1] for life in course.lives())),
    ]


def _data(course: ProcessCourse, growth: Slope) -> dict[str, Any]:
    return {
        "private_mib_per_hour": dataclasses.asdict(growth),
        "time_sec": course.time_sec.round(1).tolist(),
        "private_mib": (course.values[names.PRIVATE_BYTES] / _MIB).round(2).tolist(),
        "open_files": course.values[names.OPEN_FILES].tolist(),
    }
