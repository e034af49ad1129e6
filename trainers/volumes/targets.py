"""What the channels of logits stand for: classes that exclude each other, or regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch

Array = TypeVar("Array", "np.ndarray", "torch.Tensor")


@dataclass(frozen=True)
class Region:
    """The union of the label values `labels`; in a label map it has `value`, one of them."""

    name: str
    labels: tuple[int, ...]
    value: int

    def __str__(self) -> str:
        labels = ", ".join(map(str, self.labels))
        return f"{self.name} (labels {labels}; {self.value} in a label map)"


@dataclass(frozen=True)
class Targets:
    """What a network learns of label maps, and how its logits become one.

    `classes`: the names of the label values 0, 1, ...; the first is the background. They exclude
    each other: the logits have a channel for each, of which the largest counts (softmax). With
    `regions`, which may overlap, the logits have a channel for each region and none for the
    background, and a region is where its own is above 0 (sigmoid); a label map has its value there,
    and where regions overlap that of the last one (nnU-Net's `regions_class_order`). `ignore`: the
    value, none of a class, of voxels that count nowhere.
    """

    classes: Sequence[str]
    regions: Sequence[Region] = ()
    ignore: int | None = None

    @property
    def channels(self) -> Sequence[Region]:
        """What each channel of the logits stands for."""
        return self.regions or [Region(name, (v,), v) for v, name in enumerate(self.classes)]

    @property
    def outputs(self) -> int:
        """How many channels the logits have."""
        return len(self.regions or self.classes)

    @property
    def first_scored(self) -> int:
        """The channel that comes after the background, where that has one."""
        return 0 if self.regions else 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of what is scored: the regions, or the classes without the background."""
        return tuple(one.name for one in self.channels[self.first_scored :])

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The label values of each of `names`."""
        return tuple(tuple(one.labels) for one in self.channels[self.first_scored :])

    @property
    def plain(self) -> bool:
        """Classes exclude each other, and every voxel counts."""
        return not self.regions and self.ignore is None

    @property
    def values(self) -> int:
        """One more than the largest number in a label map."""
        return max(len(self.classes), (self.ignore or 0) + 1)

    def without_ignored(self, predicted: Array, truth: Array) -> tuple[Array, Array]:
        """Two label maps, both with the background where the truth is to be ignored."""
        if self.ignore is None:
            return predicted, truth
        counted = truth != self.ignore
        return predicted * counted, truth * counted

    def truth(self, labels: torch.Tensor) -> torch.Tensor:
        """labels (B, 1, *S) -> (B, outputs, *S) float32: 1 in what a channel stands for, else 0."""
        import torch

        return torch.cat([is_in(labels, one.labels) for one in self.channels], 1).float()

    def counted(self, labels: torch.Tensor) -> torch.Tensor:
        """labels (B, 1, *S) -> bool of that shape: all but the voxels that are ignored."""
        import torch

        if self.ignore is None:
            return torch.ones_like(labels, dtype=torch.bool)
        return labels != self.ignore

    def told(self, labels: torch.Tensor) -> torch.Tensor:
        """labels (B, 1, *S) -> what a network is told of them, of that shape: 0 where a voxel is in
        no region, negative where it is ignored."""
        told = labels
        if self.regions:
            told = labels * is_in(labels, [v for one in self.regions for v in one.labels])
        if self.ignore is not None:
            told = told.long().masked_fill(labels == self.ignore, -1)
        return told

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """logits (B, outputs, *S) -> the same shape."""
        return logits.sigmoid() if self.regions else logits.softmax(1)

    def label_map(self, logits: torch.Tensor) -> torch.Tensor:
        """logits (outputs, *S) -> labels (*S), of equals the first class."""
        # As argmax, which is 8 times slower on a CPU.
        return self.overwritten(logits) if self.regions else logits.max(0).indices

    def overwritten(self, logits: Iterable[Array]) -> Array:
        """Of each region its logits, one after the other -> labels, of their shape."""
        labels: Array | int = 0
        for region, channel in zip(self.regions, logits, strict=True):
            inside = channel > 0
            labels = labels * ~inside + inside * region.value
        return labels  # type: ignore[return-value]


def is_in(labels: Array, values: Sequence[int]) -> Array:
    """Which labels are one of the values: bool, of their shape."""
    found = labels == values[0]
    for value in values[1:]:
        found = found | (labels == value)
    return found
