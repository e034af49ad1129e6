"""The Dice of a network on labelled volumes; a GPU is not waited for before the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.errors import TrainingDivergedError
from trainers.inference import no_pause
from trainers.metrics import class_means, dice_of_pairs, mean_dice
from trainers.single_image import onednn_for_single_images
from trainers.volumes.targets import Targets
from trainers.volumes.windows import SlabInferer, to_device

GPU_VOXELS = 2**20  # of a pass on a GPU, which smaller ones do not fill
FEWEST_WINDOWS = 2  # of a pass, and as many on a CPU


@dataclass(frozen=True)
class CaseScores:
    """`dice`: (cases, scored), as `dice_per_class` has it of what is scored. `finite`: (cases,)
    whether all logits of a case are."""

    dice: np.ndarray
    finite: np.ndarray


@torch.inference_mode()
def score_cases(
    network: nn.Module,
    images: Iterable[np.ndarray],
    labels: Sequence[np.ndarray],
    targets: Targets,
    patch: tuple[int, int, int],
    overlap: float,
    pause: Callable[[], None] = no_pause,
) -> CaseScores:
    """Segment every image (C_in, D, H, W) window by window and compare it with its label (D, H, W).

    `network` is in eval mode; `pause` is called before every pass. Windows of several images share
    passes, and of an image no more logits are held than a slab has that is one window thick along
    D. `targets`: what the logits stand for. Labels are counted on the network's device, from which
    one array is read, at the end.
    """
    device = next(network.parameters()).device
    inferer = SlabInferer(patch, overlap, windows_of_a_pass(patch, device))
    classes = len(targets.classes)
    # of each case its pairs of labels, and the slabs that are not finite
    counts = torch.zeros((len(labels), classes**2 + 1), dtype=torch.int64, device=device)

    def predict(windows: torch.Tensor) -> torch.Tensor:
        pause()
        logits: torch.Tensor = network(windows)
        return logits

    for number, first, logits in inferer.slabs_of_each(images, predict, 0, device):
        rows = labels[number][first : first + logits.shape[1]]
        truth = to_device(np.array(rows), device).long()
        pair = targets.without_ignored(targets.label_map(logits), truth)
        counts[number, :-1] += count_pairs(*pair, classes)
        counts[number, -1] += ~logits.isfinite().all()
    found = counts.cpu().numpy()
    pairs = found[:, :-1].reshape(-1, classes, classes)
    return CaseScores(dice_of_pairs(pairs, targets.groups), found[:, -1] == 0)


def score_network(
    network: nn.Module,
    cache: VolumeCache,
    names: Sequence[str],
    config: TrainConfig,
    compute: Callable[[], AbstractContextManager[object]],
    pause: Callable[[], None] = no_pause,
) -> tuple[float, dict[str, float]]:
    """Mean foreground Dice of a network over cases of the cache, and the mean of every class.

    `compute()`: the context in which it computes. Raises TrainingDivergedError where logits are not
    finite.
    """
    network.eval()
    with compute(), onednn_for_single_images(network):
        scores = score_cases(
            network,
            map(cache.image, names),
            [cache.label(name) for name in names],
            cache.targets,
            config.patch,
            config.overlap,
            pause,
        )
    if not scores.finite.all():
        name = names[int(scores.finite.argmin())]
        raise TrainingDivergedError(f"the logits of case {name} are not all finite")
    means = class_means(scores.dice).tolist()
    return mean_dice(scores.dice), dict(zip(cache.targets.names, means, strict=True))


def windows_of_a_pass(patch: Sequence[int], device: torch.device) -> int:
    """How many windows a network gets at a time in a validation."""
    voxels = GPU_VOXELS if device.type == "cuda" else 0
    return max(FEWEST_WINDOWS, voxels // math.prod(patch))


def count_pairs(predicted: torch.Tensor, truth: torch.Tensor, classes: int) -> torch.Tensor:
    """How often label p was predicted where t is true, at p * classes + t: (classes**2,) int64.

    predicted, truth: (D, H, W) integers. `torch.bincount` would make a GPU tell the largest label
    first. Rows are counted apart, so that a GPU's threads seldom meet in one counter.
    """
    pairs = (predicted.long() * classes + truth.long()).flatten(1)
    counts = pairs.new_zeros((len(pairs), classes**2))
    return counts.scatter_add_(1, pairs, pairs.new_ones(()).expand_as(pairs)).sum(0)
