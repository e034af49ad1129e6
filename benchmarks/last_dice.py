"""One training to its end, for benchmarks that set networks beside each other."""

from __future__ import annotations

import torch

from search_spaces.space import Architecture
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.trainer import EpochReport, Trainer

CPU = torch.device("cpu")


def last_report(
    point: Architecture,
    seed: int,
    cache: VolumeCache,
    cases: Cases,
    train: TrainConfig,
    device: torch.device = CPU,
) -> EpochReport:
    """That of the last epoch, the only one after which the validation cases are seen."""
    recipe = train.model_copy(update={"validate_every": train.epochs})
    torch.manual_seed(seed)
    network = point.build(cache.channels, len(cache.classes))
    trainer = Trainer(network, cache, cases, recipe, device=device, seed=seed)
    *_, report = [trainer.run_epoch() for _ in range(recipe.epochs)]
    return report


def last_dice(
    point: Architecture,
    seed: int,
    cache: VolumeCache,
    cases: Cases,
    train: TrainConfig,
    device: torch.device = CPU,
) -> float:
    """Mean foreground Dice of the validation cases after the last step; they are seen only then."""
    dice = last_report(point, seed, cache, cases, train, device).dice
    assert dice is not None  # the last epoch validates
    return dice
