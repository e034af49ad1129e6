"""Sliding windows over a volume, its logits whole or a slab at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import SlidingWindowInferer

from .rows import to_front

Predict = Callable[[torch.Tensor], torch.Tensor]
"""(B, C_in, D, H, W) windows -> logits (B, C_cls, D, H, W)."""


class SlabInferer(SlidingWindowInferer):
    """MONAI's sliding windows, blended by a Gaussian; of large volumes slab by slab.

    patch: the window (D, H, W). overlap: the share of its length that a window has in common with
    the next.

    Volumes smaller than the patch are padded with zeros. A network gets `windows` at a time, the
    last pass maybe fewer.
    """

    def __init__(self, patch: Sequence[int], overlap: float, windows: int) -> None:
        super().__init__(patch, sw_batch_size=windows, overlap=overlap, mode="gaussian")
        self.patch, self.shared = tuple(patch), overlap

    def across(self, shape: Sequence[int]) -> int:
        """The axis of a volume (D, H, W) along which a slab, one window thick, is smallest."""
        return int(np.argmin([min(p / n, 1) for p, n in zip(self.patch, shape, strict=True)]))

    @torch.inference_mode()
    def logits(self, image: np.ndarray, predict: Predict, device: torch.device) -> torch.Tensor:
        """All logits of a volume (C_in, D, H, W) at once: (C_cls, D, H, W) float32 on `device`."""
        logits = self(torch.from_numpy(np.array(image))[None].to(device), predict)
        assert isinstance(logits, torch.Tensor)
        return logits[0].float()

    @torch.inference_mode()
    def slabs(
        self, image: np.ndarray, predict: Predict, axis: int, device: torch.device
    ) -> Iterator[torch.Tensor]:
        """The logits of a volume (C_in, D, H, W) from its first to its last row along `axis`.

        Each is (C_cls, rows, ...) float32, `axis` moved to the front of the other two, and good
        until the next is asked for: once no window to come reaches its rows they are forgotten.
        All of them together are `logits`, but for rounding, and without that along axis 0. Windows
        go to `device` and are blended there; the rest of the image stays where it is.
        """
        shape, patch = image.shape[1:], self.patch
        sizes = [max(n, p) for n, p in zip(shape, patch, strict=True)]
        before = [(size - n) // 2 for size, n in zip(sizes, shape, strict=True)]
        after = [size - n - b for size, n, b in zip(sizes, shape, before, strict=True)]
        padding = [(0, 0), *zip(before, after, strict=True)]
        padded = np.pad(image, padding) if any(before) or any(after) else image
        inside = to_front([slice(b, b + n) for b, n in zip(before, shape, strict=True)], axis)
        intervals = [window_interval(length, self.shared) for length in patch]
        places = sorted(
            dense_patch_slices(sizes, patch, intervals), key=lambda place: place[axis].start
        )
        total = _Blend(patch, to_front(sizes, axis), axis, device)
        for first in range(0, len(places), self.sw_batch_size):
            batch = places[first : first + self.sw_batch_size]
            windows = np.stack([padded[(slice(None), *place)] for place in batch])
            logits = predict(torch.from_numpy(windows).to(device))
            for place, values in zip(batch, logits, strict=True):
                if place[axis].start > total.first:
                    yield total.finished(place[axis].start)[(slice(None), *inside)]
                    total.forget(place[axis].start)
                total.add(values, to_front(place, axis))
        yield total.finished(sizes[axis])[(slice(None), *inside)]


def window_interval(length: int, overlap: float) -> int:
    """Voxels from one window of that length to the next, as MONAI has them."""
    return max(int(length * (1 - overlap)), 1)


class _Blend:
    """The weighted sum of windows in the rows `first` to `first` + thickness of a volume.

    Its axes are (C_cls, rows, ...): the one along which rows are counted is in front.
    """

    def __init__(
        self, patch: Sequence[int], sizes: Sequence[int], axis: int, device: torch.device
    ) -> None:
        weight = compute_importance_map(tuple(patch), mode="gaussian", device=device)
        self.weight = weight.movedim(axis, 0)
        self.axis, self.shape, self.first = axis, (patch[axis], *sizes[1:]), 0
        self.weights = torch.zeros(self.shape, device=device)
        self.sums: torch.Tensor | None = None

    def add(self, logits: torch.Tensor, place: Sequence[slice]) -> None:
        """logits: (C_cls, D, H, W) of one window."""
        if self.sums is None:
            self.sums = self.weights.new_zeros((len(logits), *self.shape))
        where = (slice(None), *place[1:])  # a window is as thick as the rows are
        self.sums[(slice(None), *where)] += logits.movedim(self.axis + 1, 1) * self.weight
        self.weights[where] += self.weight

    def finished(self, stop: int) -> torch.Tensor:
        """The mean in the rows up to `stop`, in place."""
        assert self.sums is not None
        rows = slice(0, stop - self.first)
        self.sums[:, rows] /= self.weights[rows]
        return self.sums[:, rows]

    def forget(self, stop: int) -> None:
        """Begin with the row `stop`."""
        assert self.sums is not None
        for values in (*self.sums, self.weights):
            kept = values[stop - self.first :].clone()
            values[: len(kept)] = kept
            values[len(kept) :] = 0
        self.first = stop
