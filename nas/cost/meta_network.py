"""Networks on the meta device, and Python without its garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from search_spaces.space import Architecture


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Within it no garbage is collected: with all that a search has loaded, that is a fifth of the
    time of counting MACs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def build_on_meta(architecture: Architecture, in_channels: int, out_channels: int) -> nn.Module:
    """The network of `architecture`, with shapes and no values."""
    with torch.device("meta"):
        return architecture.build(in_channels, out_channels)
