"""Sliding windows over a volume, its logits whole or a slab at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from .rows import to_front
from .window_grid import gaussian_weights, window_places

Predict = Callable[[torch.Tensor], torch.Tensor]
"""(B, C_in, D, H, W) windows -> logits (B, C_cls, D, H, W)."""


class Slab(NamedTuple):
    """Rows of the image `number` along an axis, from the row `first` on.

    `logits`: (C_cls, rows, ...) float32, that axis in front of the other two.
    """

    number: int
    first: int
    logits: torch.Tensor


class SlabInferer:
    """Sliding windows, blended by a Gaussian, as MONAI has them; of large volumes slab by slab.

    patch: the window (D, H, W). overlap: the share of its length that a window has in common with
    the next.

    Volumes smaller than the patch are padded with zeros. A network gets `windows` at a time, the
    last pass maybe fewer.
    """

    def __init__(self, patch: Sequence[int], overlap: float, windows: int) -> None:
        self.patch, self.overlap, self.windows = tuple(patch), overlap, windows

    def across(self, shape: Sequence[int]) -> int:
        """The axis of a volume (D, H, W) along which a slab, one window thick, is smallest."""
        return int(np.argmin([min(p / n, 1) for p, n in zip(self.patch, shape, strict=True)]))

    @torch.inference_mode()
    def logits(self, image: np.ndarray, predict: Predict, device: torch.device) -> torch.Tensor:
        """All logits of a volume (C_in, D, H, W) at once: (C_cls, D, H, W) float32 on `device`."""
        whole: torch.Tensor | None = None
        first = 0
        for slab in self.slabs(image, predict, 0, device):
            if whole is None:
                whole = slab.new_empty((len(slab), *image.shape[1:]))
            whole[:, first : first + slab.shape[1]] = slab
            first += slab.shape[1]
        assert whole is not None, "a volume has a window"
        return whole

    def slabs(
        self, image: np.ndarray, predict: Predict, axis: int, device: torch.device
    ) -> Iterator[torch.Tensor]:
        """The logits of a volume (C_in, D, H, W) from its first to its last row along `axis`.

        Each is (C_cls, rows, ...) float32, `axis` moved to the front of the other two, and good
        until the next is asked for: once no window to come reaches its rows they are forgotten.
        All of them together are `logits`, but for rounding, and without that along axis 0. Windows
        go to `device` and are blended there; the rest of the image stays where it is.
        """
        for slab in self.slabs_of_each([image], predict, axis, device, weigh_single=True):
            yield slab.logits

    @torch.inference_mode()
    def slabs_of_each(
        self,
        images: Iterable[np.ndarray],
        predict: Predict,
        axis: int,
        device: torch.device,
        weigh_single: bool = False,
    ) -> Iterator[Slab]:
        """The `slabs` of every image, in order. A pass may have windows of several images.

        An image is read when its first window is due. `weigh_single`: multiply the logits of an
        image with a single window by the window's weights and divide by them again, as MONAI does;
        it changes no more than their rounding.
        """

        @cache
        def weight() -> torch.Tensor:
            return gaussian_weights(self.patch, device)

        volumes = (
            _Volume(number, image, self.patch, self.overlap, axis)
            for number, image in enumerate(images)
        )
        windows = ((volume, place) for volume in volumes for place in volume.places)
        while batch := list(islice(windows, self.windows)):
            inputs = np.stack([volume.padded[(slice(None), *place)] for volume, place in batch])
            outputs = predict(to_device(inputs, device))
            for (volume, place), logits in zip(batch, outputs, strict=True):
                if len(volume.places) == 1 and not weigh_single:
                    yield volume.slab(0, logits.movedim(axis + 1, 1).float())
                else:
                    yield from volume.blended(logits, place, weight())


def window_at(image: np.ndarray, patch: Sequence[int], overlap: float, share: float) -> np.ndarray:
    """The window (C_in, D, H, W) of an image behind that share of all of them, below 1, as a
    `SlabInferer` gives it to a network."""
    volume = _Volume(0, image, patch, overlap, 0)
    place = volume.places[int(share * len(volume.places))]
    return volume.padded[(slice(None), *place)]


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """To a GPU it goes through pinned memory, and nobody waits for it; a CPU shares the array."""
    here = torch.from_numpy(array)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


class _Volume:
    """One image's windows along `axis`, and the blend of their logits."""

    def __init__(
        self, number: int, image: np.ndarray, patch: Sequence[int], overlap: float, axis: int
    ) -> None:
        shape = image.shape[1:]
        sizes = [max(n, p) for n, p in zip(shape, patch, strict=True)]
        before = [(size - n) // 2 for size, n in zip(sizes, shape, strict=True)]
        after = [size - n - b for size, n, b in zip(sizes, shape, before, strict=True)]
        padding = [(0, 0), *zip(before, after, strict=True)]
        self.number, self.axis, self.sizes = number, axis, to_front(sizes, axis)
        self.padded = np.pad(image, padding) if any(before) or any(after) else image
        self._inside = to_front([slice(b, b + n) for b, n in zip(before, shape, strict=True)], axis)
        self.places = sorted(
            window_places(sizes, patch, overlap), key=lambda place: place[axis].start
        )
        self._blend: _Blend | None = None

    def slab(self, first: int, logits: torch.Tensor) -> Slab:
        """Without the padding. logits: (C_cls, rows, ...) from the row `first` of the padded."""
        return Slab(self.number, first, logits[(slice(None), *self._inside)])

    def blended(
        self, logits: torch.Tensor, place: Sequence[slice], weight: torch.Tensor
    ) -> Iterator[Slab]:
        """Add the logits (C_cls, D, H, W) of the window `place`; the rows that this finishes."""
        if self._blend is None:
            self._blend = _Blend(logits, weight, self.sizes, self.axis)
        total, start = self._blend, place[self.axis].start
        if start > total.first:
            yield self.slab(total.first, total.finished(start))
            total.forget(start)
        total.add(logits, to_front(place, self.axis))
        if place is self.places[-1]:
            yield self.slab(total.first, total.finished(self.sizes[0]))
            self._blend = None


class _Blend:
    """The weighted sum of windows in the rows `first` to `first` + thickness of a volume.

    Its axes are (C_cls, rows, ...): the one along which rows are counted is in front. `sizes` are
    the volume's, in that order; `like`: logits (C_cls, D, H, W) of one window.
    """

    def __init__(
        self, like: torch.Tensor, weight: torch.Tensor, sizes: Sequence[int], axis: int
    ) -> None:
        self.weight, self.axis, self.first = weight.movedim(axis, 0), axis, 0
        self.weights = weight.new_zeros((weight.shape[axis], *sizes[1:]))
        self.sums = weight.new_zeros((len(like), *self.weights.shape))

    def add(self, logits: torch.Tensor, place: Sequence[slice]) -> None:
        """logits: (C_cls, D, H, W) of one window."""
        where = (slice(None), *place[1:])  # a window is as thick as the rows are
        self.sums[(slice(None), *where)] += logits.movedim(self.axis + 1, 1) * self.weight
        self.weights[where] += self.weight

    def finished(self, stop: int) -> torch.Tensor:
        """The mean in the rows up to `stop`, in place."""
        rows = slice(0, stop - self.first)
        self.sums[:, rows] /= self.weights[rows]
        return self.sums[:, rows]

    def forget(self, stop: int) -> None:
        """Begin with the row `stop`."""
        for values in (*self.sums, self.weights):
            kept = values[stop - self.first :].clone()
            values[: len(kept)] = kept
            values[len(kept) :] = 0
        self.first = stop
