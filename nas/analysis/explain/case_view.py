"""A case in three planes, with what a network decided there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nas.analysis.explain.cases import ExplainedCase
from nas.analysis.explain.probe import Item, Probe, Values
from nas.analysis.explain.tally import Tally
from nas.report.case_slices import AXES, middles
from trainers.segmenter import Segmenter
from trainers.volumes.geometry import Turn, oriented_spacing
from trainers.volumes.preprocess import Prepared, prepare_label
from trainers.volumes.window_grid import window_places

PLANES = {2: "axial", 1: "coronal", 0: "sagittal"}  # the axis of RAS across each
SHOWN = (1, 99)  # percentiles of the image between which it is grey


@dataclass(frozen=True)
class Plane:
    """A slice in radiological orientation: rows downwards, the patient's right at the left.

    All arrays are (rows, columns) of the network's voxels. `grey`: 0 to 1. `maps`: by item and
    name, NaN where no window came. `points`: by item, (K, 3): row, column, and how far from the
    slice, in voxels. `pixel`: (height, width) in mm.
    """

    name: str
    grey: np.ndarray
    truth: np.ndarray | None
    predicted: np.ndarray
    maps: Mapping[Item, Mapping[str, np.ndarray]]
    points: Mapping[Item, np.ndarray]
    pixel: tuple[float, float]


@dataclass(frozen=True)
class CaseView:
    """`planes`: axial, coronal, sagittal, without those that are a single row of voxels."""

    name: str
    planes: tuple[Plane, ...]


def look_at(segmenter: Segmenter, case: ExplainedCase, tally: Tally) -> CaseView:
    """Segment a case window by window, and watch the network. Adds what it shows to `tally`.

    The planes are those with most classes of the label, or of the segmentation where there is no
    label. Raises UserError for an unusable image.
    """
    prepared = segmenter.prepare(case.image)
    targets = segmenter.task.targets
    predicted = targets.label_map(segmenter.logits(prepared)).cpu().numpy()
    truth = None
    if case.label is not None:
        truth = prepare_label(case.label, prepared, targets.values)
        predicted, truth = targets.without_ignored(predicted, truth)
    labels = predicted if truth is None else truth
    seen = _Planes(segmenter.task.patch, prepared.grid.shape, middles(labels))
    structure = np.pad(labels > 0, seen.padding)
    for place, shown in _windows(segmenter, prepared, seen.padding):
        seen.paint(place, shown)
        tally.add(case.name, shown, structure[place])
    return CaseView(case.name, tuple(_planes(prepared, seen, truth, predicted)))


def _windows(
    segmenter: Segmenter, prepared: Prepared, padding: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[slice, ...], dict[Item, Values]]]:
    """Each window's place in the image, padded to the patch, and what the network shows there."""
    network: nn.Module = segmenter.network
    device = next(network.parameters()).device
    patch, overlap = segmenter.task.patch, segmenter.inferer.overlap
    padded = np.pad(prepared.image, [(0, 0), *padding])
    with Probe(network) as probe, torch.inference_mode():
        for place in window_places(padded.shape[1:], patch, overlap):
            network(torch.from_numpy(padded[(slice(None), *place)].copy())[None].to(device))
            yield place, probe.take_placed(patch)


class _Planes:
    """Three planes of the network's grid, painted window by window.

    Where windows overlap the one counts whose middle is nearest, as it counts most in the logits.
    `padding`: voxels in front of and behind an image that is smaller than the patch.
    """

    def __init__(self, patch: Sequence[int], shape: Sequence[int], at: Sequence[int]) -> None:
        missing = [max(p - n, 0) for n, p in zip(shape, patch, strict=True)]
        self.padding = [(m // 2, m - m // 2) for m in missing]
        self.before = [front for front, _ in self.padding]
        self.shape, self.at = tuple(shape), list(at)
        self.maps: dict[tuple[Item, str, int], np.ndarray] = {}  # the last: the axis across
        self.points: dict[Item, list[np.ndarray]] = {}
        self._patch = tuple(patch)
        middles = [np.square((np.arange(p) - (p - 1) / 2) / p) for p in patch]
        self._distance = sum(np.meshgrid(*middles, indexing="ij"), np.zeros(1))  # of a window
        sizes = np.maximum(shape, patch)
        self._least = [np.full(np.delete(sizes, axis), np.inf) for axis in range(3)]

    def paint(self, place: Sequence[slice], shown: Mapping[Item, Values]) -> None:
        """Add what a window shows; its `place` is one in the padded image."""
        for item, values in shown.items():
            if isinstance(values, torch.Tensor):
                start = [side.start - b for side, b in zip(place, self.before, strict=True)]
                self.points.setdefault(item, []).append(values.cpu().numpy() + start)
        for axis in range(3):
            row = self.at[axis] + self.before[axis] - place[axis].start
            if not 0 <= row < self._patch[axis]:
                continue
            region = tuple(side for other, side in enumerate(place) if other != axis)
            distance, least = np.take(self._distance, row, axis), self._least[axis][region]
            nearest = distance < least
            least[nearest] = distance[nearest]
            for item, values in shown.items():
                for name, cells in {} if isinstance(values, torch.Tensor) else values.items():
                    key, found = (item, name, axis), _slice(cells, self._patch, axis, row)
                    canvas = self.maps.setdefault(key, np.full(self._least[axis].shape, np.nan))
                    canvas[region][nearest] = found[nearest]

    def plane(self, item: Item, name: str, axis: int) -> np.ndarray:
        """What was painted, without the padding."""
        canvas = self.maps[item, name, axis]
        sides = [slice(b, b + n) for b, n in zip(self.before, self.shape, strict=True)]
        return canvas[tuple(side for other, side in enumerate(sides) if other != axis)]


def _slice(cells: torch.Tensor, patch: Sequence[int], axis: int, row: int) -> np.ndarray:
    """(d, h, w) over a patch -> voxels of its slice `row` across `axis`, each as its cell is."""
    rows = [np.arange(p) * n // p for p, n in zip(patch, cells.shape, strict=True)]
    rows[axis] = rows[axis][row : row + 1]
    return np.asarray(cells.cpu().numpy()[np.ix_(*rows)].squeeze(axis))


def _planes(
    prepared: Prepared, seen: _Planes, truth: np.ndarray | None, predicted: np.ndarray
) -> Iterator[Plane]:
    turn = Turn.to(AXES, prepared.grid.affine)
    spacing = np.array(oriented_spacing(prepared.grid.affine, AXES))
    low, high = np.percentile(prepared.image[0], SHOWN)
    grey = np.clip((prepared.image[0] - low) / ((high - low) or 1.0), 0, 1)
    own = {int(across): axis for axis, (across, _) in enumerate(turn.there)}
    names = {(item, name): None for item, name, _ in seen.maps}
    points = {item: _turned(np.concatenate(p), turn, seen.shape) for item, p in seen.points.items()}
    at = _turned(np.array([seen.at]), turn, seen.shape)[0]
    for across, plane_name in PLANES.items():
        axis, others = own[across], [other for other in range(3) if other != across]
        lengths = [seen.shape[own[other]] for other in others]
        if min(lengths) == 1 < max(seen.shape):
            continue

        def upright(plane: np.ndarray, axis: int = axis, across: int = across) -> np.ndarray:
            return np.take(turn.apply(np.expand_dims(plane, axis)), 0, across).T[::-1, ::-1]

        def cut(volume: np.ndarray, axis: int = axis) -> np.ndarray:
            return upright(np.take(volume, seen.at[axis], axis), axis)

        maps: dict[Item, dict[str, np.ndarray]] = {}
        for item, name in names:
            if (item, name, axis) in seen.maps:
                maps.setdefault(item, {})[name] = upright(seen.plane(item, name, axis))
        yield Plane(
            plane_name,
            cut(grey),
            None if truth is None else cut(truth),
            cut(predicted),
            maps,
            {item: _on_plane(p, across, others, lengths, at) for item, p in points.items()},
            (float(spacing[others[1]]), float(spacing[others[0]])),
        )


def _turned(points: np.ndarray, turn: Turn, shape: Sequence[int]) -> np.ndarray:
    """(K, 3) voxels of the network's grid -> of the turned one."""
    turned = np.empty(points.shape)
    for axis, (to, sign) in enumerate(turn.there):
        last = shape[axis] - 1
        turned[:, int(to)] = points[:, axis] if sign > 0 else last - points[:, axis]
    return turned


def _on_plane(
    points: np.ndarray,
    across: int,
    others: Sequence[int],
    lengths: Sequence[int],
    at: np.ndarray,
) -> np.ndarray:
    """(K, 3) voxels of the turned grid -> row, column, distance."""
    column, row = (n - 1 - points[:, axis] for axis, n in zip(others, lengths, strict=True))
    return np.column_stack([row, column, points[:, across] - at[across]])
