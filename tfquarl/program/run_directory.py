"""The directory of one run: its layout, the file that explains it, and the lock that keeps a second run out."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import secrets
import shutil
from typing import Any
from typing import TextIO

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.metrics import logger
from tfquarl.metrics import machine
from tfquarl.publication import signature

LOCK = ".lock"
"""File in a directory that `lock` keeps others out of."""

_KEY_BYTES = 32
_LOGS = "logs"

_TITLE = "This directory holds one run of tfquarl."

_README = f"""\
{_TITLE}

config.gin             the gin files and bindings that were given
operative_config.gin   every parameter that was used, with its value: enough to run it again
versions.json          packages, commit of the source, seed, command line, machine
summary.json           how the run ended: status, steps, wall time, returns of the int8 and the float32 policy; not there while it runs,
                       when that of a part before is .summary.json
metrics.jsonl          every figure, one JSON object a line: time_sec since the start, group, step, values
emissions.csv          codecarbon's own account, where EnergyConfig.use_codecarbon asks for it
train/ eval/ collect/<i>/ convert/ run/ energy/ system/<process>/
                       the same figures for TensorBoard: tensorboard --logdir .
logs/<process>.log     what each process said
checkpoints/           states of the learner, from which the same command goes on
replay/                states of the replay, from which it goes on too
policies/<version>/    policies that were judged:
  policy.tflite          the quantized policy, which is the one to deploy
  manifest.json          what is known of it: recipe, environment, architecture, calibration, parity, sha256
  policy_float32.tflite  the float policy of the same weights, with policy_float32.json
  evaluation.json        the verdict on both
policies/latest        the newest of them
policies/best          the one whose quantized policy had the highest confirmed mean return
.lock                  held while a run writes here; holds its process id
.key                   signs what the processes of the run publish; for its owner alone
"""


class RunDirectory:
    """Names the files of a run. Nothing is made before `create`.

    Attributes:
      path: the directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = pathlib.Path(path)

    @property
    def checkpoints(self) -> pathlib.Path:
        """Directory of the learner's checkpoints."""
        return self.path / "checkpoints"

    @property
    def replay(self) -> pathlib.Path:
        """Directory of the replay's checkpoints."""
        return self.path / "replay"

    @property
    def _readme_file(self) -> pathlib.Path:
        return self.path / "README.txt"

    @property
    def operative_config_file(self) -> pathlib.Path:
        """The operative_config.gin that `write_configs` writes."""
        return self.path / "operative_config.gin"

    @property
    def policies(self) -> pathlib.Path:
        """Directory of the `PolicyArchive`."""
        return self.path / "policies"

    @property
    def metrics_file(self) -> pathlib.Path:
        """The metrics.jsonl that `RunMetrics` writes."""
        return self.path / logger.METRICS_FILE

    @property
    def summary_file(self) -> pathlib.Path:
        """The summary.json that `write_summary` writes."""
        return self.path / "summary.json"

    @property
    def _past_summary_file(self) -> pathlib.Path:
        return self.path / ".summary.json"

    def create(self) -> None:
        """Makes the directory and the README.txt that explains it; one that is there already is kept.

        Raises:
          StorageError: it can't be made or written.
        """
        making = f"making the run directory {self.path}"
        with files.storage_errors(making):
            self.path.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self._readme_file, _README)  # first: by it the next run knows what the rest is
        with files.storage_errors(making):
            for directory in (self.path / _LOGS, self.checkpoints, self.replay, self.policies):
                directory.mkdir(exist_ok=True)

    def is_of_others(self) -> bool:
        """Whether something is there already, and no README.txt that `create` wrote: a run would write over what it knows nothing of.

        Raises:
          StorageError: it can't be read.
        """
        with files.storage_errors(f"reading {self.path}"):
            if not self.path.is_dir() or not any(self.path.iterdir()):
                return False
            readme = self._readme_file
            return not (readme.is_file() and readme.read_bytes().startswith(_TITLE.encode()))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other runs out of the directory until the block ends, or this process does.

        Raises:
          ConfigError: another run is writing here.
          StorageError: the directory is missing or can't be written.
        """
        with lock(self.path, "run"):
            yield

    def remove(self) -> None:
        """Removes all that is there, if anything is.

        Raises:
          ConfigError: a run is writing here.
          StorageError: it can't be removed.
        """
        with files.storage_errors(f"removing {self.path}"):
            if self.path.is_dir():
                with self.lock():
                    shutil.rmtree(self.path)

    def key(self) -> bytes:
        """What the run's publications are signed with; made at the first call, and the same for ever.

        Raises:
          ConfigError: it can't be read, others may read or write it, or it is short.
          StorageError: it can't be written.
        """
        path = self.path / ".key"
        if not path.exists():
            files.write_atomically(path, secrets.token_bytes(_KEY_BYTES), mode=0o600)
        return signature.read_key(path, is_text=False)

    def write_configs(self, given: str, operative: str) -> None:
        """Keeps the configuration as it was given and as it was used.

        Raises:
          StorageError: a file can't be written.
        """
        files.write_atomically(self.path / "config.gin", given)
        files.write_atomically(self.operative_config_file, operative)

    def write_versions(self, seed: int, command: Sequence[str]) -> None:
        """Keeps what the run was made with: packages, commit, seed, command line, machine.

        Raises:
          StorageError: the file can't be written.
        """
        versions = {
            "packages": machine.package_versions(),
            "commit": machine.git_commit(),
            "seed": seed,
            "command": list(command),
            "machine": machine.describe_machine(),
        }
        files.write_json(self.path / "versions.json", versions)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Keeps how the run ended; a reader sees the whole file or none.

        Args:
          summary: plain JSON values; NaN and infinity, which JSON lacks, become null.

        Raises:
          StorageError: the file can't be written; what `set_summary_aside` has taken away is back.
        """
        try:
            files.write_json(self.summary_file, summary)
        except errors.StorageError:
            with contextlib.suppress(OSError):
                self._past_summary_file.rename(self.summary_file)
            raise
        with contextlib.suppress(OSError):
            self._past_summary_file.unlink()

    def set_summary_aside(self) -> None:
        """Takes the summary away while a run goes on, as it tells of an end.

        Raises:
          StorageError: it can't be renamed.
        """
        with files.storage_errors(f"renaming {self.summary_file}"), contextlib.suppress(FileNotFoundError):
            self.summary_file.rename(self._past_summary_file)

    def read_summary(self) -> dict[str, Any]:
        """What `write_summary` wrote.

        Raises:
          ConfigError: there is none; the run goes on, was killed, or this is no run directory.
          ArtifactError: the file is no JSON object.
        """
        try:
            text = self.summary_file.read_text()
        except OSError as error:
            raise errors.ConfigError(
                f"{self.summary_file} can't be read ({error.strerror}); is {self.path} the directory of a run that has ended?"
            ) from error
        try:
            return dict(json.loads(text))
        except (ValueError, TypeError) as error:
            raise errors.ArtifactError(f"{self.summary_file} is not a JSON object: {error}; was it edited?") from error


def log_file(process: str) -> pathlib.PurePath:
    """Log of a process, e.g. 'collector_0', below the run's directory."""
    return pathlib.PurePath(_LOGS, f"{process}.log")


@contextlib.contextmanager
def lock(directory: pathlib.Path, user: str) -> Iterator[None]:
    """Keeps others out of a directory until the block ends, or this process does.

    Args:
      directory: that is there.
      user: who locks it, in a word, for those who are kept out.

    Raises:
      ConfigError: another process has locked it.
      StorageError: the directory is missing or can't be written.
    """
    path = directory / LOCK
    with files.storage_errors(f"locking {path}"):
        file = path.open("a+")
    with file:
        _take_lock(file, path, user)
        yield


def default_path(experiment: str, now: datetime.datetime | None = None) -> pathlib.Path:
    """'runs/<date-time>_<experiment>', below the user's directory, for a run that was given no directory.

    Args:
      experiment: name of the experiment; its characters other than letters, digits, '.', '_' and '-' become '_'.
      now: the time to tell; the present one if None.
    """
    moment = (now or datetime.datetime.now()).strftime("%Y-%m-%d_%H-%M-%S")
    name = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in experiment)
    return pathlib.Path("runs") / f"{moment}_{name}"


def _take_lock(file: TextIO, path: pathlib.Path, user: str) -> None:
    with files.storage_errors(f"locking {path}"):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise errors.ConfigError(
                f"{path.parent} is in use by the {user} of process {holder}; wait for its end or give another directory"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
