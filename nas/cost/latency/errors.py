"""What ends a measurement."""

from __future__ import annotations


class LatencyError(Exception):
    """This network cannot be measured so; another one, or another backend or precision, may be."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
