"""From logits on a prepared grid back to labels of the file, a slab of all classes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from .labels import label_type
from .preprocess import Prepared
from .resample import Resampling, argmax_slab


def restore(logits: np.ndarray, prepared: Prepared) -> np.ndarray:
    """Logits (C_cls, D, H, W) on the prepared grid -> labels in the shape of the file.

    In the smallest unsigned type.
    """
    if logits.shape[1:] != prepared.grid.shape:
        raise ValueError(f"logits are {logits.shape[1:]}, the prepared image {prepared.grid.shape}")
    return restore_slabs([torch.from_numpy(logits)], 0, len(logits), prepared)


def restore_slabs(
    slabs: Iterable[torch.Tensor], axis: int, classes: int, prepared: Prepared
) -> np.ndarray:
    """As `restore`, of logits that come in slabs of rows along `axis`, the first row first.

    slabs: (C_cls, rows, ...), `axis` moved to the front of the other two. Each is read before the
    next is asked for; of those before it only the rows are kept that its labels depend on too.
    """
    way = prepared.back.along(axis)
    labels = np.zeros(prepared.oriented.shape, label_type(classes))
    inside = np.moveaxis(labels[prepared.box], axis, 0)
    for rows, scores in class_scores(slabs, way, classes):
        inside[rows] = argmax_slab(scores, way, rows)
    return np.ascontiguousarray(prepared.turn.undo(labels))


def class_scores(
    slabs: Iterable[torch.Tensor], way: Resampling, classes: int, held: int = 1
) -> Iterator[tuple[slice, Iterator[np.ndarray]]]:
    """Rows of what `way` makes, from the first to the last, and of each class, one after the other,
    its scores in `way.reads(rows)`; to be read before the next rows are asked for.

    slabs: (C_cls, rows, ...) of the source, the first row first, each good until the next is asked
    for. `held`: how many classes are in memory at a time, for which there are fewer rows.
    """
    # Rows of logits: `old` ones that were kept, from `first` on, and those of the slab after them.
    first, old, done = 0, torch.empty(classes, 0, *way.source[1:]), 0
    for slab in slabs:
        old = old.to(slab.device)
        stop = first + old.shape[1] + slab.shape[1]
        for rows in way.slices(done, way.ready(stop), held):
            read = _shifted(way.reads(rows), first)
            yield (
                rows,
                (_rows(*of_class, read).cpu().numpy() for of_class in zip(old, slab, strict=True)),
            )
            done = rows.stop
        if done < way.shape[0]:
            later = min(way.reads(slice(done, done + 1)).start, stop)
            old, first = _rows(old, slab, slice(later - first, stop - first)), later


def _rows(old: torch.Tensor, new: torch.Tensor, rows: slice) -> torch.Tensor:
    """Rows of two (..., rows, H, W), counted from the first of `old` on into `new`."""
    start, stop = (max(row - old.shape[-3], 0) for row in (rows.start, rows.stop))
    return torch.cat([old[..., rows, :, :], new[..., start:stop, :, :]], dim=-3)


def _shifted(rows: slice, first: int) -> slice:
    return slice(rows.start - first, rows.stop - first)
