"""What decides the runs of a sweep or a study, kept in its directory: the same goes on there, anything else is refused."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import json
import pathlib
from typing import Any

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.program import interrupts
from tfquarl.program import run_directory

PLAN = "plan.json"


@dataclasses.dataclass(frozen=True)
class KeptPlan:
    """What plan.json holds.

    Attributes:
      kind: 'sweep', 'study' or 'comparison'.
      settings: text of a value by name, like 'Experiment.num_env_steps'.
      commands: that have run here, in order, each once.
    """

    kind: str
    settings: Mapping[str, str]
    commands: Sequence[str] = ()


def settings_of(config: Any) -> dict[str, str]:
    """The values of a tree of dataclasses as text, by 'Class.parameter'."""
    found: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{type(config).__name__}.{field.name}"
        if dataclasses.is_dataclass(value):
            found |= {name: f"@{type(value).__name__}()", **settings_of(value)}
        else:
            found[name] = repr(value)
    return found


@contextlib.contextmanager
def go_on(directory: pathlib.Path, plan: KeptPlan) -> Iterator[KeptPlan]:
    """Begins in `directory`, which is made, or goes on there; gives the plan that it holds now.

    Until the block ends the directory is locked, and whatever ends this program raises `KeyboardInterrupt` in it: a run that goes on by
    itself would be in the way of the next command.

    Settings that are told for the first time, those of a further task, are added to the kept ones. Settings that `plan` doesn't tell,
    because its runs differ in them, are not compared.

    Raises:
      ConfigError: the directory holds something else, or runs with other settings, or is in use.
      ArtifactError: its plan is damaged.
      StorageError: it can't be made, read or written.
    """
    with files.storage_errors(f"making {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
    _read(directory, plan.kind)  # what is of others gets no lock either
    with run_directory.lock(directory, plan.kind), interrupts.raised():
        yield _keep(directory, plan)


def _keep(directory: pathlib.Path, plan: KeptPlan) -> KeptPlan:
    """Writes `plan` with what is there already; both together."""
    old = _read(directory, plan.kind)
    changes = [
        f"{name}: {old.settings[name]} -> {value}"
        for name, value in plan.settings.items()
        if old.settings.get(name, value) != value
    ]
    if changes:
        raise errors.ConfigError(
            f"{directory} holds a {plan.kind} that can't go on with other settings: {'; '.join(changes)}; give what it was begun"
            f" with, or another --root_dir"
        )
    commands = list(dict.fromkeys([*old.commands, *plan.commands]))
    new = KeptPlan(plan.kind, {**old.settings, **plan.settings}, commands)
    if new != old:
        files.write_json(directory / PLAN, dataclasses.asdict(new))
    return new


def _read(directory: pathlib.Path, kind: str) -> KeptPlan:
    """The plan of a directory; one without settings where it is empty."""
    path = directory / PLAN
    with files.storage_errors(f"reading {directory}"):
        is_empty = {entry.name for entry in directory.iterdir()} <= {run_directory.LOCK}
    if is_empty:
        return KeptPlan(kind, {})
    if not path.is_file():
        raise errors.ConfigError(
            f"{directory} is not empty and holds no {kind} (no {PLAN}); give a --root_dir that is new or empty, or that of a {kind}"
        )
    try:
        kept = KeptPlan(**json.loads(path.read_text()))
        kept = dataclasses.replace(kept, settings=dict(kept.settings), commands=list(kept.commands))
    except (OSError, ValueError, TypeError) as error:
        raise errors.ArtifactError(f"{path} can't be read: {error}; was it edited?") from error
    if kept.kind != kind:
        raise errors.ConfigError(f"{directory} holds a {kept.kind}, needs a {kind}; give another --root_dir")
    return kept
