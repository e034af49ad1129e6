"""What a network may offer besides its forward pass, and what is made of it.

`begin_epoch(epoch)` on any of its modules: told, before an epoch, how many were trained so far.
`measured()`: what it saw of itself in the eval passes since the last call, by name.
`decoder_stages()` on the network: its decoder's stages that are coarser than its logits.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def begin_epoch(network: nn.Module, epoch: int) -> None:
    """Tell every module with a schedule of its own that the epoch after `epoch` begins."""
    for module in network.modules():
        if told := getattr(module, "begin_epoch", None):
            told(epoch)


def pop_network_metrics(network: nn.Module) -> dict[str, float]:
    """What the network measured of itself since the last call; empty where it measures nothing.

    A wrapper without a `measured` of its own, such as `Mirrored`, is looked through.
    """
    for module in network.modules():
        if measured := getattr(module, "measured", None):
            return dict(measured())
    return {}


def decoder_stages(network: nn.Module) -> Sequence[tuple[nn.Module, int]]:
    """The decoder's stages that are coarser than the logits, the finest first, and their channels.

    A stage's output is (B, channels, *S). Empty where the network offers none.
    """
    offered = getattr(network, "decoder_stages", None)
    return offered() if offered else ()
