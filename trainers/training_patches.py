"""The patches that a training draws, by its configuration."""

from __future__ import annotations

from collections.abc import Sequence

from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.patches import PatchSampler


def training_patches(
    cache: VolumeCache, names: Sequence[str], config: TrainConfig, seed: int
) -> PatchSampler:
    """Batches of the cases `names`, augmented."""
    augment = config.augment
    return PatchSampler(
        cache,
        names,
        config.patch,
        config.batch,
        foreground=config.foreground,
        preset=augment.drawn(),
        seed=seed,
        **augment.model_dump(exclude={"preset", "changes"}),
    )
