"""What blocks do differently while a network is written as a file."""

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


def capturing(x: torch.Tensor) -> bool:
    """Whether work on x is captured as a CUDA graph, in which nothing can be read back."""
    return x.is_cuda and torch.cuda.is_current_stream_capturing()


def kept(entries: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: remembers the last `entries` tensors that a function made, by its arguments.

    In a pass that is recorded for a file tensors are stand-ins without values, and are not
    remembered. The function runs outside of inference mode, since training may use its tensor next.
    """

    def decorate(make: Callable[P, R]) -> Callable[P, R]:
        make = torch.inference_mode(False)(make)
        remembered = lru_cache(entries)(make)

        @wraps(make)
        def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
            if exporting():
                return make(*args, **kwargs)
            return remembered(*args, **kwargs)  # type: ignore[arg-type]

        return look_up

    return decorate
