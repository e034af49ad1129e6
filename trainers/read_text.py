"""Text files of any editor: UTF-8 with or without a byte order mark, UTF-16 and UTF-32 with one."""

from __future__ import annotations

import codecs
from pathlib import Path

from trainers.errors import UserError

_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, format: str, most: int) -> str:
    """The text of a file in `format`, such as JSON, of `most` bytes at most.

    Raises UserError where it cannot be read, is longer, or is in another encoding.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    if len(data) > most:
        raise UserError(
            f"{path} has more than {most >> 10:,} KiB, which is no {format} that is read here"
        )
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no {format}: byte {error.start + 1} is no {encoding.upper()}; "
            "save it as UTF-8"
        ) from error
