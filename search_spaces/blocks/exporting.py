"""What blocks do differently while a pass is recorded, in a file or as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def exporting() -> bool:
    """Whether the pass under way is recorded for a file: torch.export, or a TorchScript trace."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()


def capturing() -> bool:
    """Whether the pass under way is captured as a CUDA graph."""
    if torch.compiler.is_compiling() or not torch.cuda.is_initialized():
        return False
    return torch.cuda.is_current_stream_capturing()


def kept(entries: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: remembers the last `entries` tensors that a function made, by its arguments.

    In a pass that is recorded for a file tensors are stand-ins without values, and in one that is
    captured as a CUDA graph they have none yet: those are not remembered. The function runs outside
    of inference mode, since training may use its tensor next.
    """

    def decorate(make: Callable[P, R]) -> Callable[P, R]:
        make = torch.inference_mode(False)(make)
        remembered = lru_cache(entries)(make)

        @wraps(make)
        def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
            if exporting() or capturing():
                return make(*args, **kwargs)
            return remembered(*args, **kwargs)  # type: ignore[arg-type]

        return look_up

    return decorate
