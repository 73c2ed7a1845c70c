"""Reading flatbuffer tables with every offset checked, so that hostile bytes raise instead of being followed.

A table starts with the distance back to its vtable; the vtable holds its own size, the table's size and one 16-bit offset per
field, 0 for a field that is absent. Format: https://flatbuffers.dev/internals.
"""

from collections.abc import Sequence
import struct

from tfquarl.core import errors

MAX_ITEMS = 1 << 16

_SIZES = {"b": 1, "B": 1, "?": 1, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8}


class TableReader:
    """One table of a flatbuffer."""

    def __init__(self, data: memoryview, position: int, num_fields: int, what: str) -> None:
        """Checks the table's frame.

        Args:
          data: the whole flatbuffer.
          position: of the table's first byte.
          num_fields: number of fields that the caller knows; a table with further ones is refused.
          what: names the table in errors.

        Raises:
          ArtifactError: the frame lies outside the bytes or has fields that nobody knows.
        """
        self._data, self._position, self._what = data, position, what
        vtable = position - read(data, "i", position, what)
        vtable_bytes, self._table_bytes = read(data, "H", vtable, what), read(data, "H", vtable + 2, what)
        check_range(data, vtable, vtable_bytes, what)
        check_range(data, position, self._table_bytes, what)
        if vtable_bytes < 4 or vtable_bytes % 2 or self._table_bytes < 4:
            raise errors.ArtifactError(f"model: the frame of {what} is malformed; the bytes were altered")
        self._fields = struct.unpack_from(f"<{vtable_bytes // 2 - 2}H", data, vtable + 4)
        if any(self._fields[num_fields:]):
            raise errors.ArtifactError(f"model: {what} has a field that policies don't use")

    def offset(self, field: int, num_bytes: int) -> int | None:
        """Position of a field's bytes, or None where it is absent."""
        offset = self._fields[field] if field < len(self._fields) else 0
        if offset == 0:
            return None
        if offset < 4 or offset + num_bytes > self._table_bytes:
            raise errors.ArtifactError(f"model: field {field} of {self._what} lies outside of its table")
        return self._position + offset

    def scalar(self, field: int, kind: str, default: int) -> int:
        """A number of `struct` format `kind`."""
        offset = self.offset(field, _SIZES[kind])
        return default if offset is None else read(self._data, kind, offset, self._what)

    def forbid(self, fields: Sequence[int]) -> None:
        """Refuses a table that has one of `fields`."""
        for field in fields:
            if self.offset(field, 1) is not None:
                raise errors.ArtifactError(f"model: {self._what} has field {field}, which policies don't use")

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Position and number of the items of a vector; (0, 0) where it is absent."""
        offset = self.offset(field, 4)
        if offset is None:
            return 0, 0
        start = offset + read(self._data, "I", offset, self._what)
        count = read(self._data, "I", start, self._what)
        check_range(self._data, start + 4, count * item_bytes, self._what)
        if start % 4:
            raise errors.ArtifactError(f"model: field {field} of {self._what} is not aligned")
        return start + 4, count

    def numbers(self, field: int, kind: str) -> tuple[int, ...]:
        """A short vector of numbers of `struct` format `kind`; empty where it is absent."""
        start, count = self.vector(field, _SIZES[kind])
        self._check_count(field, count)
        return struct.unpack_from(f"<{count}{kind}", self._data, start)

    def text(self, field: int) -> str:
        """A string; empty where it is absent."""
        start, count = self.vector(field, 1)
        self._check_count(field, count)
        if start and read(self._data, "B", start + count, self._what) != 0:
            raise errors.ArtifactError(f"model: a string of {self._what} has no end; the bytes were altered")
        try:
            return bytes(self._data[start : start + count]).decode()
        except UnicodeDecodeError as error:
            raise errors.ArtifactError(
                f"model: a string of {self._what} is no UTF-8; the bytes were altered"
            ) from error

    def table(self, field: int, num_fields: int, what: str) -> "TableReader | None":
        """A nested table, or None where it is absent."""
        offset = self.offset(field, 4)
        if offset is None:
            return None
        return TableReader(self._data, offset + read(self._data, "I", offset, self._what), num_fields, what)

    def tables(self, field: int, num_fields: int, what: str) -> list["TableReader"]:
        """The tables of a vector; empty where it is absent."""
        start, count = self.vector(field, 4)
        self._check_count(field, count)
        positions = [start + 4 * i for i in range(count)]
        return [
            TableReader(self._data, position + read(self._data, "I", position, what), num_fields, f"{what} {i}")
            for i, position in enumerate(positions)
        ]

    def _check_count(self, field: int, count: int) -> None:
        if count > MAX_ITEMS:
            raise errors.ArtifactError(f"model: field {field} of {self._what} has {count} items, at most {MAX_ITEMS}")


def check_range(data: memoryview, start: int, num_bytes: int, what: str) -> None:
    """Raises `ArtifactError` where `num_bytes` from `start` are not all within `data`."""
    if start < 0 or start + num_bytes > len(data):
        raise errors.ArtifactError(
            f"model: {what} needs bytes {start} to {start + num_bytes} of {len(data)}; it was truncated or altered"
        )


def read(data: memoryview, kind: str, position: int, what: str) -> int:
    """The number of `struct` format `kind` at `position`, checked to be within `data`."""
    check_range(data, position, _SIZES[kind], what)
    return struct.unpack_from("<" + kind, data, position)[0]
