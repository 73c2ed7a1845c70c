"""Pages in Markdown: their pictures, and the files that they are kept in."""

import pathlib
from typing import Any
import urllib.parse

from tfquarl.core import files


def picture(caption: str, file: str) -> str:
    """The line that shows the picture `file`, which lies beside the page; its name may have spaces and brackets, which end a link."""
    return f"![{caption}]({urllib.parse.quote(file)})"


def write(output: pathlib.Path, text: str, data: Any = None) -> None:
    """Writes `output`.md, and `output`.json where there is data.

    Args:
      output: path without suffix, in a directory that is there.
      text: of the page.
      data: of its figures, as plain JSON values.

    Raises:
      StorageError: a file can't be written.
    """
    files.write_atomically(output.with_name(f"{output.name}.md"), text)
    if data is not None:
        files.write_json(output.with_name(f"{output.name}.json"), data)
