"""Errors that the person at the keyboard can mend, and what an error says in one line."""

from collections.abc import Sequence

from trainers.volumes.errors import UserError

__all__ = [
    "GpuLostError",
    "TrainingDivergedError",
    "UserError",
    "first_line",
    "listed",
    "shortened",
]


class TrainingDivergedError(Exception):
    """The loss is no longer a number."""


class GpuLostError(UserError):
    """This process cannot use its GPU any more; another one goes on from what is saved."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return str(error).strip().partition("\n")[0].strip() or type(error).__name__


def last_line(error: BaseException) -> str:
    """The last line, with which a traceback that an error tells ends, or its type."""
    return str(error).strip().rpartition("\n")[2].strip() or type(error).__name__


def listed(words: Sequence[str], most: int) -> str:
    """a, b, c; or a, b and 31 more where there are more than `most`."""
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")


def shortened(text: str, most: int = 100) -> str:
    """The text, with its middle left out where it has more than `most` characters."""
    if len(text) <= most:
        return text
    kept = (most - 5) // 2
    return f"{text[:kept]} ... {text[-kept:]}"
