"""Methods that a network may have besides `forward`, and the functions that call them.

`begin_epoch(epoch)` on any of its modules: called before each epoch with the number of epochs that
are trained, for schedules of its own. `measured()` on any of them: metrics of its eval passes since
the last call, such as the share of tokens it pruned, by name. `decoder_stages()` on the network:
the stages of its decoder that are coarser than its logits, for deep supervision.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def begin_epoch(network: nn.Module, epoch: int) -> None:
    """Call `begin_epoch` of every module that has it; `epoch` epochs are trained by now."""
    for module in network.modules():
        if begin := getattr(module, "begin_epoch", None):
            begin(epoch)


def pop_network_metrics(network: nn.Module) -> dict[str, float]:
    """The network's own metrics since the last call; empty where it has no `measured`.

    Of several modules with a `measured`, the outermost counts: inside a wrapper such as `Mirrored`
    the network is found.
    """
    for module in network.modules():
        if measured := getattr(module, "measured", None):
            return dict(measured())
    return {}


def decoder_stages(network: nn.Module) -> Sequence[tuple[nn.Module, int]]:
    """The decoder's stages that are coarser than the logits, and their channels, the finest first.

    A stage's output is (B, channels, *S). Empty where the network has no `decoder_stages`.
    """
    offered = getattr(network, "decoder_stages", None)
    return offered() if offered else ()
