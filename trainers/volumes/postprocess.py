"""Label maps after the network: components, opening and closing, holes, places, in the millimetres
of the file's own grid. By SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from .geometry import voxel_sizes
from .steps import Postprocess, Steps

Box = tuple[slice, ...]
JOINED = np.ones((3, 3, 3), bool)  # voxels of one component touch through a face, edge or corner
CLOSE = 1e-6  # mm, or of a volume: exactly so many voxels are enough


def postprocess(
    labels: np.ndarray, affine: np.ndarray, classes: Sequence[str], steps: Postprocess
) -> np.ndarray:
    """Labels (D, H, W) after the `steps`, of the same shape and type; a new array.

    affine: (4, 4), from voxels to mm in RAS+. `classes[v]` is the name of the label v, 0 the
    background. What a class loses becomes background, and it gains background and what a step
    before took from it, nothing else: every class is worked on as the network left the others, and
    none depends on the order. What two would gain, as a hole in one that lies in the other, is of
    the class in the smaller box.
    """
    before, after = LabelMap(labels, affine, classes), labels.copy()
    for value, name in sorted(enumerate(classes[1:], start=1), key=lambda one: before.room(one[0])):
        if name not in steps or (found := before.after(value, steps[name])) is None:
            continue
        box, mask = found
        here = after[box]  # a view
        here[(here == value) & ~mask] = 0
        here[(here == 0) & mask] = value
    return after


class LabelMap:
    """Labels (D, H, W) of one case and where they are."""

    def __init__(self, labels: np.ndarray, affine: np.ndarray, classes: Sequence[str]) -> None:
        self.labels, self.affine, self.classes = labels, affine, classes
        self.spacing = voxel_sizes(affine)
        self._boxes = ndimage.find_objects(labels, max_label=max(len(classes) - 1, 1))
        self._middles: dict[str, np.ndarray | None] = {}

    def box(self, value: int) -> Box | None:
        """The smallest that has all voxels of a label; None where there are none."""
        box: Box | None = self._boxes[value - 1]
        return box

    def room(self, value: int) -> int:
        """The voxels of its `box`, 0 where there is none."""
        box = self.box(value)
        return 0 if box is None else math.prod(side.stop - side.start for side in box)

    def after(self, value: int, steps: Steps) -> tuple[Box, np.ndarray] | None:
        """The voxels of a label after its steps, bool in its `box`, which no step leaves.

        None where there are none before.
        """
        if (box := self.box(value)) is None:
            return None
        here = self.labels[box]
        mask = here == value
        if steps.opening_mm:
            mask = self._flat(mask, lambda m, mm: _opened(m, mm, steps.opening_mm))
        mask = self._components(mask, box, steps)
        free = (here == 0) | (here == value)
        if steps.closing_mm:
            mask = self._flat(mask, lambda m, mm: _closed(m, mm, steps.closing_mm)) & free
        if steps.holes:
            mask = self._flat(mask, lambda m, _: ndimage.binary_fill_holes(m)) & free
        return box, mask

    def middle(self, name: str) -> np.ndarray | None:
        """(3,) mm: the middle of the largest component of a class; None where it has no voxel."""
        if name not in self._middles:
            value = self.classes.index(name)
            box, middle = self.box(value), None
            if box is not None:
                found, count = ndimage.label(self.labels[box] == value, JOINED)
                sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
                middle = self._places(found, np.array([sizes.argmax() + 1]), box)[0]
            self._middles[name] = middle
        return self._middles[name]

    def _components(self, mask: np.ndarray, box: Box, steps: Steps) -> np.ndarray:
        if not (steps.touches or steps.places or steps.volume_mm3 or steps.components):
            return mask
        found, count = ndimage.label(mask, JOINED)
        kept = np.arange(1, count + 1)
        if steps.touches:
            kept = self._touching(found, kept, box, steps)
        if steps.places:
            kept = self._in_place(found, kept, box, steps)
        sizes = np.bincount(found.ravel(), minlength=count + 1)
        if steps.volume_mm3:
            kept = kept[sizes[kept] * self.spacing.prod() >= steps.volume_mm3 * (1 - CLOSE)]
        if steps.components:
            kept = kept[np.argsort(-sizes[kept], kind="stable")[: steps.components]]
        return np.isin(found, kept)

    def _touching(self, found: np.ndarray, kept: np.ndarray, box: Box, steps: Steps) -> np.ndarray:
        values = [self.classes.index(name) for name in steps.touches]
        wider = wider_box(box, self.labels.shape)
        near = ndimage.binary_dilation(np.isin(self.labels[wider], values), JOINED)
        touching = np.intersect1d(kept, found[near[within(box, wider)]])
        return touching if touching.size else kept

    def _in_place(self, found: np.ndarray, kept: np.ndarray, box: Box, steps: Steps) -> np.ndarray:
        """Those in the places of half or more of the classes that there are."""
        told = [(p, m) for p in steps.places if (m := self.middle(p.of)) is not None]
        if not told or not kept.size:
            return kept
        away = self._places(found, kept, box)
        votes = [
            ((away - middle >= place.low) & (away - middle <= place.high)).all(1)
            for place, middle in told
        ]
        here = np.mean(votes, axis=0) >= 0.5
        return kept[here] if here.any() else kept

    def _places(self, found: np.ndarray, numbers: np.ndarray, box: Box) -> np.ndarray:
        """(n, 3) mm: the middles of these components."""
        voxels = np.array(ndimage.center_of_mass(found > 0, found, numbers))
        voxels += [side.start for side in box]
        return voxels @ self.affine[:3, :3].T + self.affine[:3, 3]

    def _flat(
        self, mask: np.ndarray, change: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """`change(mask, mm of its voxels)` without the axes along which the volume has one voxel:
        in a single slice every voxel would be at the surface, and no hole would be closed."""
        thin = [axis for axis, length in enumerate(self.labels.shape) if length == 1]
        changed = change(mask.squeeze(tuple(thin)), np.delete(self.spacing, thin))
        return changed.reshape(mask.shape)


def wider_box(box: Box, shape: Sequence[int]) -> Box:
    """By a voxel on every side, within a volume of that shape: what touches it is in there."""
    return tuple(
        slice(max(side.start - 1, 0), min(side.stop + 1, length))
        for side, length in zip(box, shape, strict=True)
    )


def within(box: Box, wider: Box) -> Box:
    """Where a box lies in a wider one."""
    return tuple(
        slice(side.start - wide.start, side.stop - wide.start)
        for side, wide in zip(box, wider, strict=True)
    )


def _opened(mask: np.ndarray, spacing: np.ndarray, radius: float) -> np.ndarray:
    """The union of all balls within the mask."""
    return _dilated(_eroded(mask, spacing, radius), spacing, radius)


def _closed(mask: np.ndarray, spacing: np.ndarray, radius: float) -> np.ndarray:
    """The complement of all balls beside the mask, which may lie across the volume's border."""
    around = [(int(np.ceil(radius / mm)),) * 2 for mm in spacing]
    grown = _dilated(np.pad(mask, around), spacing, radius)
    inside = tuple(slice(n, n + length) for (n, _), length in zip(around, mask.shape, strict=True))
    return _eroded(grown, spacing, radius)[inside]


def _eroded(mask: np.ndarray, spacing: np.ndarray, radius: float) -> np.ndarray:
    inside = np.pad(mask, 1)  # beyond the border there is background
    far = ndimage.distance_transform_edt(inside, spacing) > radius + CLOSE
    return far[(slice(1, -1),) * mask.ndim]


def _dilated(mask: np.ndarray, spacing: np.ndarray, radius: float) -> np.ndarray:
    if not mask.any():  # of which SciPy's distances are to the corner
        return mask
    return ndimage.distance_transform_edt(~mask, spacing) <= radius + CLOSE
