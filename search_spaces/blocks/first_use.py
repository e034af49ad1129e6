"""Whether another way of computing something is right and faster, asked where it is first used."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks

from search_spaces.blocks.exporting import capturing

Function = Callable[..., torch.Tensor]

# Of the largest value.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-2}
REPEATS = 5

_log = logging.getLogger(__name__)
_answers: dict[Hashable, bool] = {}


def is_better(
    name: str,
    other: Function,
    standard: Function,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor | None],
) -> bool:
    """Whether `other(x, *weights)` equals `standard(x, *weights)` in less time.

    x: (B, C, *S), weights: parameters, or None. Values are compared, where gradients are wanted
    those as well, and both ways timed as they are called here, in turns, on random numbers. The
    answer is logged with its reason, and remembered in this process: for the device, the types, the
    layout, B, C and the voxels within a factor of 2. Where a CUDA graph is being captured, in which
    nothing can be timed, it is no, and not remembered.
    """
    wanted = torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (x, *weights)
    )
    types = tuple(None if t is None else t.dtype for t in (x, *weights))
    size = (*x.shape[:2], math.prod(x.shape[2:]).bit_length())
    autocast = torch.is_autocast_enabled(x.device.type)
    key = (name, x.device, types, x.is_contiguous(), size, autocast, wanted)
    if key not in _answers:
        if capturing():
            return False
        seen = f"{name}, {tuple(x.shape)} {x.dtype} on {x.device}{', trained' * wanted}"
        try:
            _answers[key], reason = _compared(other, standard, x, weights, wanted)
        except RuntimeError as error:  # no such kernel there, or no memory for both
            _answers[key], reason = False, f"it fails: {str(error).splitlines()[0]}"
        _log.info("%s: %s, since %s", seen, "used" if _answers[key] else "not used", reason)
    return _answers[key]


def _compared(
    other: Function,
    standard: Function,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor | None],
    wanted: bool,
) -> tuple[bool, str]:
    """The answer and its reason."""
    random = torch.Generator(x.device).manual_seed(0)  # whose numbers nobody else draws

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(like, requires_grad=False).normal_(1, 2, generator=random)

    # A checkpoint around the caller would count what is saved here as its own.
    with torch.set_grad_enabled(wanted), saved_tensors_hooks(lambda t: t, lambda t: t):
        inputs = [None if t is None else normal(t).requires_grad_(wanted) for t in (x, *weights)]
        leaves = [t for t in inputs if t is not None] if wanted else []
        gradient = normal(standard(*inputs).detach())

        def run(function: Function) -> list[torch.Tensor]:
            made = function(*inputs)
            return [made.detach(), *(torch.autograd.grad(made, leaves, gradient) if wanted else ())]

        off = max(map(_distance, run(other), run(standard)))
        tolerance = TOLERANCE[x.dtype]
        if not off <= tolerance:
            return False, f"it is {off:.1e} of the largest value off, more than {tolerance:.0e}"
        turns = [
            [_seconds(x.device, run, function) for function in (other, standard)]
            for _ in range(REPEATS)
        ]
    mine, theirs = map(median, zip(*turns, strict=True))
    return mine < theirs, f"it takes {1e3 * mine:.3g} ms where torch's own takes {1e3 * theirs:.3g}"


def _distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference over the largest expected value; infinite where types or shapes
    differ."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return float("inf")
    kind = torch.promote_types(expected.dtype, torch.float32)
    largest = expected.abs().max().to(kind).clamp(min=1e-30)
    return float((found.to(kind) - expected.to(kind)).abs().max() / largest)


def _seconds(device: torch.device, run: Callable[[Function], Any], function: Function) -> float:
    synchronise = torch.cuda.synchronize if device.type == "cuda" else (lambda _: None)
    synchronise(device)
    started = perf_counter()
    run(function)
    synchronise(device)
    return perf_counter() - started
