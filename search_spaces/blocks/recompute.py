"""Activations that are computed again in the backward pass, so as not to be kept for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., torch.Tensor], *inputs: Any, when: bool) -> torch.Tensor:
    """`function(*inputs)`; `when`: only its inputs and outputs are kept for the gradient.

    The function must be deterministic: its second run draws other random numbers.
    """
    if not when or not torch.is_grad_enabled():
        return function(*inputs)
    result: torch.Tensor = checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=False
    )
    return result
