"""Training patches that a compression looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.patches import PatchSampler


@dataclass(frozen=True)
class TrainingPatches:
    """`count` patches of the cases `names`, one at a time, unchanged, the same every time."""

    cache: VolumeCache
    names: tuple[str, ...]
    train: TrainConfig
    count: int
    seed: int

    def __call__(self, device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images (1, C, *patch) and labels (1, 1, *patch) on the device."""
        train = self.train
        sampler = PatchSampler(
            self.cache, self.names, train.patch, 1, foreground=train.foreground, seed=self.seed
        )
        for _ in range(self.count):
            image, label = sampler.batch()
            yield image.to(device), label.to(device)
