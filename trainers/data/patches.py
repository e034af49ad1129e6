"""Random training patches, cut straight out of the memory maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.data.cache import VolumeCache

Size = tuple[int, int, int]


class PatchSampler:
    """Draws batches of patches; every case comes once before any comes again.

    A share `foreground` of the patches is centred on a voxel of a class drawn evenly from those of
    the case, the others lie anywhere. Along an axis where the volume is no larger than the patch it
    is centred, give or take `shift` voxels, between zeros. The volume (not the zeros around it)
    becomes `x * U(1 - scale, 1 + scale) + U(-offset, offset)`, plus Gaussian noise of deviation
    `noise`; each axis in `flips` is mirrored half of the time.
    """

    def __init__(
        self,
        cache: VolumeCache,
        names: Sequence[str],
        patch: Size,
        batch: int,
        *,
        foreground: float = 0.5,
        shift: int = 0,
        scale: float = 0.0,
        offset: float = 0.0,
        noise: float = 0.0,
        flips: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        self.cache = cache
        self.names = tuple(names)
        self.patch = patch
        self.size = batch
        self.foreground = foreground
        self.shift = shift
        self.scale = scale
        self.offset = offset
        self.noise = noise
        self.flips = tuple(flips)
        self._rng = np.random.default_rng(seed)
        self._queue: list[int] = []

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images (B, C, *patch) float32 and labels (B, 1, *patch) uint8."""
        images = np.zeros((self.size, self.cache.channels, *self.patch), np.float32)
        labels = np.zeros((self.size, 1, *self.patch), np.uint8)
        for image, label in zip(images, labels, strict=True):
            self._fill(image, label)
        return torch.from_numpy(images), torch.from_numpy(labels)

    def state(self) -> dict[str, Any]:
        """All that decides the batches to come; plain numbers, lists and dicts."""
        return {"rng": self._rng.bit_generator.state, "queue": list(self._queue)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where `state()` was taken."""
        self._rng.bit_generator.state = state["rng"]
        self._queue = list(state["queue"])

    def _fill(self, image: np.ndarray, label: np.ndarray) -> None:
        """Write one patch into zeros: image (C, *patch), label (1, *patch)."""
        name = self._next_name()
        source, target = self._place(self.cache.shape(name), self._centre(name))
        for axis in self.flips:
            if self._rng.random() < 0.5:
                image, label = np.flip(image, axis + 1), np.flip(label, axis + 1)
        label[0][target] = self.cache.label(name)[source]
        inside = image[:, *target]
        gain = self._rng.uniform(1 - self.scale, 1 + self.scale)
        bias = self._rng.uniform(-self.offset, self.offset)
        np.multiply(self.cache.image(name)[:, *source], np.float32(gain), out=inside)
        inside += np.float32(bias)
        if self.noise:
            noise = self._rng.standard_normal(inside.shape, np.float32)
            inside += np.float32(self.noise) * noise

    def _next_name(self) -> str:
        if not self._queue:
            self._queue = self._rng.permutation(len(self.names)).tolist()
        return self.names[self._queue.pop()]

    def _centre(self, name: str) -> Sequence[int] | None:
        """A foreground voxel, or None for a patch that may lie anywhere."""
        if self._rng.random() >= self.foreground:
            return None
        classes = self.cache.foreground(name)
        if not classes:
            return None
        voxels = classes[self._rng.integers(len(classes))]
        voxel = int(voxels[self._rng.integers(len(voxels))])
        _, height, width = self.cache.shape(name)
        rows, x = divmod(voxel, width)
        return *divmod(rows, height), x

    def _place(
        self, shape: Size, centre: Sequence[int] | None
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of the volume to read, and the part of the patch that it fills."""
        source, target = [], []
        for axis, (size, length) in enumerate(zip(shape, self.patch, strict=True)):
            if size <= length:
                shift = min(self.shift, size // 2)
                start = -((length - size) // 2) + int(self._rng.integers(-shift, shift + 1))
            elif centre is None:
                start = int(self._rng.integers(size - length + 1))
            else:
                start = min(max(centre[axis] - length // 2, 0), size - length)
            low, high = max(start, 0), min(start + length, size)
            source.append(slice(low, high))
            target.append(slice(low - start, high - start))
        return tuple(source), tuple(target)
