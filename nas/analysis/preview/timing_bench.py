"""What candidates are timed on: the run's own prepared data, and not too much of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases

VALIDATION_CASES = 4


@dataclass(frozen=True)
class Bench:
    """The cases and the recipe of a search; `scratch` is a folder for checkpoints on its disk."""

    cache: VolumeCache
    cases: Cases
    train: TrainConfig
    seed: int
    scratch: Path

    def windows(self) -> int:
        """Windows of one validation: of all its cases together."""
        shapes = (self.cache.shape(name) for name in self.cases.validation)
        return sum(count_windows(shape, self.train) for shape in shapes)

    def shortened(self) -> Bench:
        """A few validation cases from small to large, each of two windows at most.

        One whole volume of a large data set would take minutes.
        """
        names = sorted(self.cases.validation, key=lambda name: math.prod(self.cache.shape(name)))
        places = np.linspace(0, len(names) - 1, VALIDATION_CASES).round().astype(int)
        few = tuple(names[place] for place in dict.fromkeys(places.tolist()))
        depth, *plane = self.train.patch
        corner = (depth + _interval(depth, self.train.overlap), *plane)
        facts = {name: getattr(self.cache, name) for name in VolumeCache.__dataclass_fields__}
        cache = CroppedCache(**facts, corner=corner)
        return replace(self, cache=cache, cases=replace(self.cases, validation=few))


@dataclass(frozen=True)
class CroppedCache(VolumeCache):
    """A corner of every volume, of `corner` voxels (D, H, W) at most."""

    corner: tuple[int, ...] = ()

    def shape(self, name: str) -> tuple[int, int, int]:
        """(D, H, W) of what is left of a case."""
        d, h, w = map(min, super().shape(name), self.corner)
        return d, h, w

    def image(self, name: str) -> np.ndarray:
        """(C, D, H, W) float32."""
        d, h, w = self.shape(name)
        return super().image(name)[:, :d, :h, :w]

    def label(self, name: str) -> np.ndarray:
        """(D, H, W) uint8."""
        d, h, w = self.shape(name)
        return super().label(name)[:d, :h, :w]


def count_windows(shape: Sequence[int], train: TrainConfig) -> int:
    """Windows that cover one volume of that shape (D, H, W), as `predict_logits` lays them."""
    axes = zip(shape, train.patch, strict=True)
    return math.prod(
        1 + math.ceil(max(length - window, 0) / _interval(window, train.overlap))
        for length, window in axes
    )


def _interval(window: int, overlap: float) -> int:
    """Voxels from one window to the next (monai's `sliding_window_inference`)."""
    return max(int(window * (1 - overlap)), 1)
