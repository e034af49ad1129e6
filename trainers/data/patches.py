"""Random training patches, cut straight out of the memory maps."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.augment.intensity import Change, draw_changes, make_changes
from trainers.augment.presets import BASIC, Preset
from trainers.augment.spatial import Turn, coarse_axis, draw_matrix, read_turned
from trainers.data.cache import VolumeCache

Size = tuple[int, int, int]


class Cut(NamedTuple):
    """What was drawn for one patch.

    `source`: the part of the case `name` that is read. `target`: the part of the patch that it
    fills; all of it where there is a `turn`. The values there become `x * gain + bias`, plus
    `noise`; then the whole patch is changed, and mirrored along the axes `flipped`.
    """

    name: str
    source: tuple[slice, ...]
    target: tuple[slice, ...]
    turn: Turn | None
    flipped: list[int]
    gain: float
    bias: float
    noise: np.ndarray | None
    changes: Sequence[Change]


@dataclass(eq=False)
class PatchSampler:
    """Draws batches of `size` patches; every case comes once before any comes again.

    A share `foreground` of the patches is centred on a voxel of a class or region drawn evenly from
    those of the case; the others lie anywhere or, where voxels are to be ignored, are centred on
    one that is not. Along an axis where the volume is no larger than the patch it is centred, give
    or take `shift` voxels, between zeros. The volume (not the zeros around it) becomes
    `x * U(1 - scale, 1 + scale) + U(-offset, offset)`, plus Gaussian noise of deviation `noise`;
    each axis in `flips` is mirrored half of the time. `preset`: what else is changed.

    What is random is in `draw` alone, which takes no time to speak of; `read` may be called with
    what it drew in any order, by several threads at a time.
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
    preset: Preset = BASIC
    seed: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._queue: list[int] = []
        self._coarse = coarse_axis(self.patch, self.cache.prepared_voxel_size)
        # Of wider unsigned types torch knows little more than the name.
        self._label_type = np.uint8 if self.cache.targets.values <= 256 else np.int32

    def batch(self, part: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """The next batch, or a part of it; see `read`."""
        return self.read(self.draw(), part)

    def draw(self) -> list[Cut]:
        """What the patches of the next batch will be."""
        return [self._draw() for _ in range(self.size)]

    def read(self, cuts: Sequence[Cut], part: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Images (B, C, *patch) float32 and labels (B, 1, *patch), uint8 or of many classes int32.

        `part`: the patches that are returned. The others were drawn and are not read, so that
        several processes, which train a part each, agree on the batch.
        """
        cuts = cuts[part]
        images = np.zeros((len(cuts), self.cache.channels, *self.patch), np.float32)
        labels = np.zeros((len(cuts), 1, *self.patch), self._label_type)
        for image, label, cut in zip(images, labels, cuts, strict=True):
            self._fill(image, label, cut)
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
        starts = self._starts(self.cache.shape(name), self._centre(name))
        source, target = self._overlap(self.cache.shape(name), starts)
        turn = None
        matrix = draw_matrix(self.preset, self._coarse, self._rng)
        if matrix is not None:
            turn = Turn(matrix, np.array(starts) + (np.array(self.patch) - 1) / 2)
            target = tuple(slice(0, length) for length in self.patch)
        flipped = [axis for axis in self.flips if self._rng.random() < 0.5]
        gain = self._rng.uniform(1 - self.scale, 1 + self.scale)
        bias = self._rng.uniform(-self.offset, self.offset)
        noise = None
        if self.noise:
            inside = [s.stop - s.start for s in target]
            noise = self._rng.standard_normal((self.cache.channels, *inside), np.float32)
        changes = draw_changes(self.preset.intensity, self.cache.channels, self._coarse, self._rng)
        return Cut(name, source, target, turn, flipped, gain, bias, noise, changes)

    def _fill(self, image: np.ndarray, label: np.ndarray, cut: Cut) -> None:
        """Write one patch into zeros: image (C, *patch), label (1, *patch)."""
        volume, classes = self.cache.image(cut.name), self.cache.label(cut.name)
        inside = image[:, *cut.target]
        if cut.turn is None:
            found, label[0][cut.target] = volume[:, *cut.source], classes[cut.source]
        else:
            found, label[0] = read_turned(volume, classes, cut.turn, self.patch)
        np.multiply(found, np.float32(cut.gain), out=inside)
        inside += np.float32(cut.bias)
        if cut.noise is not None:
            inside += np.float32(self.noise) * cut.noise
        make_changes(image, cut.changes)
        if cut.flipped:
            axes = tuple(axis + 1 for axis in cut.flipped)
            image[:], label[:] = np.flip(image, axes), np.flip(label, axes)

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

    def _starts(self, shape: Size, centre: Sequence[int] | None) -> list[int]:
        """Where in the volume the patch begins along each axis; below 0 where it is larger."""
        starts = []
        for axis, (size, length) in enumerate(zip(shape, self.patch, strict=True)):
            if size <= length:
                shift = min(self.shift, size // 2)
                start = -((length - size) // 2) + int(self._rng.integers(-shift, shift + 1))
            elif centre is None:
                start = int(self._rng.integers(size - length + 1))
            else:
                start = min(max(centre[axis] - length // 2, 0), size - length)
            starts.append(start)
        return starts

    def _overlap(
        self, shape: Size, starts: Sequence[int]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of the volume to read, and the part of the patch that it fills."""
        source, target = [], []
        for start, size, length in zip(starts, shape, self.patch, strict=True):
            low, high = max(start, 0), min(start + length, size)
            source.append(slice(low, high))
            target.append(slice(low - start, high - start))
        return tuple(source), tuple(target)
