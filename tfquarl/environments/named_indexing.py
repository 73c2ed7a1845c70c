"""Finds the elements that dm_control's tasks name, e.g. `physics.named.data.xmat['pole', ['zz', 'xz']]`, once for each name.

dm_control turns names into positions at every step, which takes a third of a light task's time. The same names stand for the same
positions as long as the model is not replaced; dm_control makes new indexers when it is.
"""

from typing import Any

from dm_control.mujoco import engine
from dm_control.mujoco import index


class _RememberingIndexer(index.FieldIndexer):
    """A field that keeps what dm_control made of each key."""

    __slots__ = ("_known",)

    def __init__(self, indexer: index.FieldIndexer) -> None:
        self._field_name, self._field, self._axes = indexer._field_name, indexer._field, indexer._axes
        self._known: dict[Any, Any] = {}

    def _convert_key(self, key: Any) -> Any:
        """As `FieldIndexer`."""
        hashable = _hashable(key)
        try:
            position = self._known.get(hashable)
        except TypeError:  # an array, or lists in lists
            return super()._convert_key(key)
        if position is None:
            position = self._known[hashable] = super()._convert_key(key)
        return position


def remember_names(physics: engine.Physics) -> None:
    """Lets `physics.named` remember positions; what it gives stays the same."""
    physics._named = engine.NamedIndexStructs(
        *(
            index.make_struct_indexer({name: _RememberingIndexer(field) for name, field in struct._asdict().items()})
            for struct in physics.named
        )
    )


def _hashable(key: Any) -> Any:
    """A key for dictionaries, another one for each key of a field."""
    if type(key) is str:
        return key
    if type(key) is tuple:
        return tuple([_hashable(item) for item in key])
    if type(key) is list:
        if key and type(key[0]) is str:  # then the others are names too
            return (list, *key)
        return (list, *key, *map(type, key))
    if type(key) is slice:
        return slice, key.start, key.stop, key.step
    return type(key), key  # numpy takes True and 1 for different things, and a dictionary for the same
