"""Methods that a network may have besides `forward`, and the functions that call them.

`begin_training(epochs)` on any of its modules: called before the first epoch, and where a training
goes on, with the epochs of the whole schedule. `begin_epoch(epoch)` on any of them: called before
each epoch with the number of epochs that are trained, for schedules of its own. `measured()` on any
of them: metrics of its eval passes since the last call, such as the share of tokens it pruned, by
name. `decoder_stages()` on the network: the stages of its decoder that are coarser than its logits,
for deep supervision. `encoder_stages()` on the network: the parts of its encoder, for rates that
decay by layer. `capturable = False` on any module: its training passes cannot be repeated as a CUDA
graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def begin_training(network: nn.Module, epochs: int) -> None:
    """Call `begin_training` of every module that has it: a schedule of `epochs` begins."""
    for module in network.modules():
        if begin := getattr(module, "begin_training", None):
            begin(epochs)


def begin_epoch(network: nn.Module, epoch: int) -> bool:
    """Call `begin_epoch` of every module that has it; `epoch` epochs are trained by now.

    Returns whether any has, and so may have changed.
    """
    heard = [begin for m in network.modules() if (begin := getattr(m, "begin_epoch", None))]
    for begin in heard:
        begin(epoch)
    return bool(heard)


def uncapturable(network: nn.Module) -> str | None:
    """Why no CUDA graph can repeat the network's training passes, as far as its modules say."""
    for module in network.modules():
        if not getattr(module, "capturable", True):
            return f"a {type(module).__name__} cannot be captured"
        if isinstance(module, _BatchNorm) and module.momentum is None:
            return f"a {type(module).__name__} without momentum counts its batches on the host"
    return None


def pop_network_metrics(network: nn.Module) -> dict[str, float]:
    """The network's own metrics since the last call; empty where it has no `measured`.

    Of modules inside each other the outermost counts: inside a wrapper such as `Mirrored` the
    network is found. Of several beside each other, as those of folds, it is their mean.
    """
    told: dict[str, list[float]] = {}
    for metrics in _measured(network):
        for name, value in metrics.items():
            told.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in told.items()}


def _measured(module: nn.Module) -> Iterator[Mapping[str, float]]:
    if measured := getattr(module, "measured", None):
        yield measured()
    else:
        for child in module.children():
            yield from _measured(child)


def decoder_stages(network: nn.Module) -> Sequence[tuple[nn.Module, int]]:
    """The decoder's stages that are coarser than the logits, and their channels, the finest first.

    A stage's output is (B, channels, *S). Empty where the network has no `decoder_stages`.
    """
    offered = getattr(network, "decoder_stages", None)
    return offered() if offered else ()


def encoder_stages(network: nn.Module) -> Sequence[Sequence[nn.Module | nn.Parameter]]:
    """The encoder's parts, stage by stage from the input to the deepest.

    Those of the outermost module that has `encoder_stages`; empty where none has.
    """
    for module in network.modules():
        if offered := getattr(module, "encoder_stages", None):
            stages: Sequence[Sequence[nn.Module | nn.Parameter]] = offered()
            return stages
    return ()
