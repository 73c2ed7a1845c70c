"""Checkpoints of the learner: written whole or not at all, and read from the newest one that is whole."""

from collections.abc import Mapping
import json
import pathlib
import re
from typing import Any

from absl import logging
import tensorflow as tf

from tfquarl.core import errors

# What TensorFlow raises on files that were cut, altered or lost.
_DAMAGED = (tf.errors.OpError, AssertionError, ValueError, LookupError)
# What it says where a variable had another type: its name, the present type and the one of the checkpoint.
_OTHER_TYPE = re.compile(r"tensor_name = (.+)/\.ATTRIBUTES/.*expected dtype (\w+) does not equal original dtype (\w+)")
_SHAPES_KEY = "shapes/.ATTRIBUTES/py_state"


class Checkpointing:
    """Saves and restores trackable objects, with the shapes of their variables beside them."""

    def __init__(
        self, directory: str | pathlib.Path, objects: Mapping[str, Any], shapes: Mapping[str, Any], max_to_keep: int = 3
    ) -> None:
        """Makes the checkpoint manager; nothing is read or written yet.

        Args:
          directory: of the checkpoints; made at the first save.
          objects: trackable objects by name. All their variables must exist.
          shapes: shape of each variable by name, as one can show it to the user when a checkpoint doesn't fit.
          max_to_keep: newest checkpoints that are kept.
        """
        self._directory = pathlib.Path(directory)
        self._shapes = {name: list(shape) for name, shape in shapes.items()}
        self._checkpoint = tf.train.Checkpoint(shapes=_JsonState(self._shapes), **objects)
        _mend_list(self._directory)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(directory), max_to_keep)

    def save(self, train_step: int) -> str:
        """Writes a checkpoint; its path. A reader finds it only once it is complete.

        Raises:
          StorageError: no space or no permission; the checkpoints before it stay.
        """
        try:
            return self._manager.save(checkpoint_number=train_step)
        except tf.errors.OpError as error:
            raise errors.StorageError(
                f"writing checkpoint {train_step} in {self._directory} failed: {str(error.message).splitlines()[0]}; is there space,"
                " and may you write there? The checkpoints before it are whole"
            ) from error

    def restore(self) -> str | None:
        """Restores the newest checkpoint that can be read; its path, or None where there is no checkpoint.

        Raises:
          ConfigError: the newest readable one is of another network, or of a version of tfquarl whose variables had other types; or
            there are some and none can be read.
        """
        paths = list(reversed(self._manager.checkpoints))
        for path in paths:
            try:
                self._check_shapes(path)
                status = self._checkpoint.restore(path).assert_existing_objects_matched()
                status.expect_partial()  # a reader of the agent alone has no use for the rest, and no warning
            except _DAMAGED as error:
                if other := _OTHER_TYPE.search(str(error)):
                    raise errors.ConfigError(
                        f"checkpoint {path} is of another version of tfquarl: '{other[1]}' is {other[3]} there and {other[2]} here; go on"
                        " with the commit in the run's versions.json, or use another run directory"
                    ) from error
                logging.warning("Checkpoint %s can't be read and is passed over: %s", path, str(error).split("\n")[0])
                continue
            if path != paths[0]:
                lost = f"{_train_step(paths[0]) - _train_step(path):,}"
                logging.warning("Train steps lost: %s, as the newest checkpoint that can be read is %s", lost, path)
            return path
        if paths:
            raise errors.ConfigError(
                f"{self._directory}: none of its {len(paths)} checkpoints can be read; remove the directory to start anew"
            )
        return None

    def _check_shapes(self, path: str) -> None:
        stored = json.loads(tf.train.load_checkpoint(path).get_tensor(_SHAPES_KEY))
        differences = [
            f"'{name}' is {stored.get(name, 'missing')} there and {self._shapes.get(name, 'missing')} here"
            for name in sorted(set(stored) | set(self._shapes))
            if stored.get(name) != self._shapes.get(name)
        ]
        if differences:
            raise errors.ConfigError(
                f"checkpoint {path} is of another network: {'; '.join(differences)}; use the configuration it was made with,"
                " or another run directory"
            )


def _mend_list(directory: pathlib.Path) -> None:
    """Writes TensorFlow's list of the checkpoints anew where there are some and it names none: that file alone may be lost or cut off."""
    try:
        listed = tf.train.get_checkpoint_state(str(directory))
    except ValueError:
        listed = None
    prefixes = sorted((str(path.with_suffix("")) for path in directory.glob("ckpt-*.index")), key=_train_step)
    if prefixes and (listed is None or not listed.all_model_checkpoint_paths):
        logging.warning(
            "%s names no checkpoint; made anew of the %d that are there", directory / "checkpoint", len(prefixes)
        )
        written = [pathlib.Path(f"{prefix}.index").stat().st_mtime for prefix in prefixes]
        tf.compat.v1.train.update_checkpoint_state(
            str(directory), prefixes[-1], prefixes, all_model_checkpoint_timestamps=written
        )


def _train_step(path: str) -> int:
    """At which `save` wrote the checkpoint."""
    return int(path.rpartition("-")[2])


class _JsonState(tf.train.experimental.PythonState):
    """A JSON value that is saved with a checkpoint. Restoring does not change it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def serialize(self) -> str:
        return json.dumps(self._value)

    def deserialize(self, string_value: str) -> None:
        del string_value  # Compared before anything is restored.


def variable_shapes(module: tf.Module) -> dict[str, list[int | None]]:
    """Shape of each variable of `module` by its name, for `Checkpointing`; counters are left out."""
    return {variable.name: variable.shape.as_list() for variable in module.variables if variable.dtype.is_floating}
