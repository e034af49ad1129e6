"""Cells of CSV files that a spreadsheet shows, and does not compute."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def cell(value: Any) -> Any:
    """The value; text that a spreadsheet would take for a formula gets an apostrophe before it.

    A file or a class may be called `=HYPERLINK(...)` (OWASP, CSV injection). Numbers stay numbers.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
