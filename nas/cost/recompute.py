"""Whether a training keeps its activations, or computes them again to save memory."""

from __future__ import annotations

import torch
from torch import nn

from nas.cost.memory import memory_of
from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.volumes.targets import Targets

SHARE = 0.5  # of the free memory; the rest is for kernels, the allocator and other trials


def free_memory(device: torch.device) -> int:
    """Bytes that nobody uses on a GPU; 0 for a CPU, where nothing is decided by them."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def keep_where_it_fits(
    network: nn.Module,
    architecture: Architecture,
    in_channels: int,
    out_channels: int,
    train: TrainConfig,
    free: int,
    *,
    teacher: Architecture | None = None,
    targets: Targets | None = None,
) -> bool:
    """Have the network of `architecture` keep all activations, which is faster, if its training on
    a GPU then takes at most `SHARE` of `free` bytes by estimate; whether it does.

    It concerns networks that offer `recompute` (`search_spaces.offers`) and have their own rule:
    where not everything fits, that rule stays.
    """
    if not free or getattr(network, "recompute", False) is not None:
        return False
    memory = memory_of(
        architecture,
        in_channels,
        out_channels,
        train.patch,
        batch=train.batch,
        precision=train.precision_on("cuda"),
        loss=train.loss,
        device="cuda",
        ema=train.ema > 0,
        deep_supervision=train.deep_supervision,
        teacher=teacher,
        recompute=False,
        targets=targets,
        moments=train.moments,
    )
    if memory.training > SHARE * free:
        return False
    network.recompute = False  # type: ignore[assignment]
    return True
