"""A network that is ready to run, and the input it is run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from nas.cost.latency.timing import Stopwatch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SEED = 0


@dataclass(frozen=True)
class Runner:
    """`forward`: x (B, C, D, H, W) of `dtype` on `device` -> logits (B, C_cls, D, H, W).

    What `stopwatch` tells includes all of a call's work.
    """

    forward: Callable[[torch.Tensor], torch.Tensor]
    device: torch.device
    dtype: torch.dtype
    stopwatch: Stopwatch


def example(shape: tuple[int, ...], seed: int = SEED) -> torch.Tensor:
    """A standard normal input, always the same one; no other random number changes by it."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
