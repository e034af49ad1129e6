"""Why a network has no result, in words that are recorded."""

from __future__ import annotations

from dataclasses import dataclass

from nas.cost.latency.errors import LatencyError
from trainers.errors import UserError, first_line

NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "bad alloc",
    "bad_alloc",
    "can't allocate memory",
    "failed to allocate memory",
    "status_alloc_failed",  # of cuBLAS and cuDNN
)


@dataclass(frozen=True)
class Failure:
    """What is recorded of an architecture whose latency cannot be measured."""

    reason: str


@dataclass(frozen=True)
class Waiting:
    """Why an architecture has no latency yet, which is no fault of its own: it is asked again."""

    reason: str


class AwayError(UserError):
    """A device, or the node that is to measure, is not there now; another time it may be."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether it tells of too little memory, on the CPU or a GPU."""
    import torch  # here: others import what this module says without it

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in NO_MEMORY)


def reason_of(error: Exception) -> str:
    """One line: `out of memory: ...`, or the error's type and the first line of its message.

    A LatencyError has said already what it is.
    """
    if is_out_of_memory(error):
        return f"out of memory: {first_line(error)}"
    if isinstance(error, LatencyError):
        return first_line(error)
    return f"{type(error).__name__}: {first_line(error)}"
