"""Random training patches, cut straight out of the memory maps."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.data.cache import VolumeCache

Size = tuple[int, int, int]


class Cut(NamedTuple):
    """What was drawn for one patch.

    `source`: the part of the case `name` that is read. `target`: the part of the patch that it
    fills. `flipped`: axes to mirror. The values become `x * gain + bias`, plus `noise`.
    """

    name: str
    source: tuple[slice, ...]
    target: tuple[slice, ...]
    flipped: list[int]
    gain: float
    bias: float
    noise: np.ndarray | None


@dataclass(eq=False)
class PatchSampler:
    """Draws batches of `size` patches; every case comes once before any comes again.

    A share `foreground` of the patches is centred on a voxel of a class or region drawn evenly from
    those of the case; the others lie anywhere or, where voxels are to be ignored, are centred on
    one that is not. Along an axis where the volume is no larger than the patch it is centred, give
    or take `shift` voxels, between zeros. The volume (not the zeros around it) becomes
    `x * U(1 - scale, 1 + scale) + U(-offset, offset)`, plus Gaussian noise of deviation `noise`;
    each axis in `flips` is mirrored half of the time.
    """

    cache: VolumeCache
    names: Sequence[str]
    patch: Size
    size: int
    _: KW_ONLY
    foreground: float = 0.5
    shift: int = 0
    scale: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    flips: Sequence[int] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._queue: list[int] = []
        # Of wider unsigned types torch knows little more than the name.
        self._label_type = np.uint8 if self.cache.targets.values <= 256 else np.int32

    def batch(self, part: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Images (B, C, *patch) float32 and labels (B, 1, *patch), uint8 or of many classes int32.

        `part`: the patches of the batch that are returned. The others are drawn and not read, so
        that several processes, which train a part each, agree on the batch.
        """
        read = range(self.size)[part]
        images = np.zeros((len(read), self.cache.channels, *self.patch), np.float32)
        labels = np.zeros((len(read), 1, *self.patch), self._label_type)
        for place in range(self.size):
            cut = self._draw()
            if place in read:
                self._fill(images[place - read.start], labels[place - read.start], cut)
        return torch.from_numpy(images), torch.from_numpy(labels)

    def state(self) -> dict[str, Any]:
        """What decides the batches to come, as plain numbers, lists and dicts."""
        return {"rng": self._rng.bit_generator.state, "queue": list(self._queue)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue where `state()` was taken."""
        self._rng.bit_generator.state = state["rng"]
        self._queue = list(state["queue"])

    def _draw(self) -> Cut:
        name = self._next_name()
        source, target = self._place(self.cache.shape(name), self._centre(name))
        flipped = [axis for axis in self.flips if self._rng.random() < 0.5]
        gain = self._rng.uniform(1 - self.scale, 1 + self.scale)
        bias = self._rng.uniform(-self.offset, self.offset)
        noise = None
        if self.noise:
            inside = [s.stop - s.start for s in source]
            noise = self._rng.standard_normal((self.cache.channels, *inside), np.float32)
        return Cut(name, source, target, flipped, gain, bias, noise)

    def _fill(self, image: np.ndarray, label: np.ndarray, cut: Cut) -> None:
        """Write one patch into zeros: image (C, *patch), label (1, *patch)."""
        for axis in cut.flipped:
            image, label = np.flip(image, axis + 1), np.flip(label, axis + 1)
        label[0][cut.target] = self.cache.label(cut.name)[cut.source]
        inside = image[:, *cut.target]
        volume = self.cache.image(cut.name)
        np.multiply(volume[:, *cut.source], np.float32(cut.gain), out=inside)
        inside += np.float32(cut.bias)
        if cut.noise is not None:
            inside += np.float32(self.noise) * cut.noise

    def _next_name(self) -> str:
        if not self._queue:
            self._queue = self._rng.permutation(len(self.names)).tolist()
        return self.names[self._queue.pop()]

    def _centre(self, name: str) -> Sequence[int] | None:
        """A foreground voxel, or one that counts; None for a patch that may lie anywhere."""
        wanted = self._rng.random() < self.foreground
        classes = (wanted and self.cache.foreground(name)) or self.cache.annotated(name)
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
