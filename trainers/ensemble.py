"""Several segmenters as one: the mean of their probabilities, voxel by voxel of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Self

import numpy as np
import torch

from trainers.data.task import Task
from trainers.errors import UserError
from trainers.segmenter import (
    Files,
    Segmenter,
    SegmenterSpec,
    check_probabilities,
    image_of,
    volume_of,
)
from trainers.single_image import onednn_for_single_images
from trainers.volumes.files import files_of
from trainers.volumes.labels import label_type
from trainers.volumes.nifti import check_room
from trainers.volumes.postprocess import postprocess
from trainers.volumes.preprocess import Prepared
from trainers.volumes.restore import class_scores
from trainers.volumes.rows import row_ranges, to_front
from trainers.volumes.segment import WHOLE, finite
from trainers.volumes.settings import AffineRule
from trainers.volumes.steps import Postprocess, Steps

# A probability is counted as a whole number of 2**-40, so that sums are exact, in whatever order.
ONE = 2.0**40
WHERE_KNOWN = {"ignore", "modalities"}  # compared only where both have some


@dataclass(frozen=True)
class SegmenterEnsemble:
    """An `ImageSegmenter` of several. Each has its own network, patch, spacing, resampling, crop
    and intensity, and the same say, an ensemble of folds too.

    At every voxel of the image the softmax of each one's logits (of regions the sigmoid), resampled
    to it, is averaged; outside of what its crop leaves, a network is sure of the background. In
    memory are the images as they were prepared, and a slab of each one's logits (see
    `trainers.volumes.segment`). Of the postprocessing a class has what all agree on.
    """

    members: tuple[Segmenter, ...]

    @classmethod
    def of(cls, named: Sequence[tuple[str, Segmenter]]) -> Self:
        """The ensemble of segmenters, whose names are told where they do not go together.

        Raises UserError where one tells other classes apart than another, ignores another label,
        reads other channels, or reads a file's axes in another way.
        """
        for (first, like), (name, other) in combinations(named, 2):
            for what, here, there in (
                ("classes", other.task.classes, like.task.classes),
                ("regions", other.task.targets.regions, like.task.targets.regions),
                ("ignore", other.task.ignore, like.task.ignore),
                ("channels", other.task.channels, like.task.channels),
                ("modalities", other.task.modalities, like.task.modalities),
                ("orientation", *(s.spec.preprocess.orientation for s in (other, like))),
                ("affine", other.affine, like.affine),
            ):
                unknown = what in WHERE_KNOWN and not (here and there)
                if here != there and not unknown:
                    raise UserError(
                        f"{first} and {name} are no ensemble: {what} {_said(there)} and "
                        f"{_said(here)}; expected the same of both"
                    )
        return cls(tuple(segmenter for _, segmenter in named))

    @property
    def task(self) -> Task:
        """That of the first: what it reads and tells apart is the same for all. What one of them
        was to ignore is ignored."""
        ignore = next((one.task.ignore for one in self.members if one.task.ignore), None)
        return self.members[0].task.model_copy(update={"ignore": ignore})

    @property
    def affine(self) -> AffineRule:
        """As `ImageSegmenter` says."""
        return self.members[0].affine

    def segment(self, image: Files, probabilities: np.ndarray | None = None) -> np.ndarray:
        """As `ImageSegmenter` says."""
        files = image_of(image)
        prepared = [one.prepare(files) for one in self.members]
        check_probabilities(probabilities, self.task, prepared[0])
        return self._segment(prepared, str(files_of(files)[0]), probabilities)

    def segment_array(self, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """As `ImageSegmenter` says."""
        volume = volume_of(image, affine)
        prepared = [one.prepare(volume) for one in self.members]
        del volume  # as large as what was made of it
        return self._segment(prepared, "the image")

    @property
    def raw(self) -> SegmenterEnsemble:
        """As `ImageSegmenter` says."""
        return SegmenterEnsemble(tuple(one.raw for one in self.members))

    @property
    def postprocess(self) -> Postprocess:
        """As `ImageSegmenter` says."""
        return common_steps([one.spec for one in self.members])

    def pop_metrics(self) -> dict[str, float]:
        """None: the networks' own metrics are of each, and have no mean."""
        for one in self.members:
            one.pop_metrics()
        return {}

    def _segment(
        self, prepared: Sequence[Prepared], name: str, probabilities: np.ndarray | None = None
    ) -> np.ndarray:
        pairs = list(zip(self.members, prepared, strict=True))
        axis = _slab_axis(pairs)
        held = sum(_slab_bytes(*pair, axis) for pair in pairs)
        check_room(held, f"{name}: {len(pairs)} networks' logits of {held / 4:,.0f}")
        first, targets, all_votes = prepared[0], self.task.targets, ONE * len(pairs)
        labels = np.zeros(first.oriented.shape, label_type(len(targets.classes)))
        along, done = np.moveaxis(labels, axis, 0), 0
        shares: list[np.ndarray] = []
        if probabilities is not None:
            shares = [np.moveaxis(first.turn.apply(each), axis, 0) for each in probabilities]
        with ExitStack() as stack:
            for one in self.members:
                stack.enter_context(onednn_for_single_images(one.network))
            for votes in _sums([_probabilities(*pair, axis, name) for pair in pairs]):
                rows = slice(done, done + votes.shape[1])
                # As of logits, which are above 0 where a region has more than half of the votes.
                along[rows] = targets.label_map(torch.from_numpy(votes - all_votes / 2)).numpy()
                for share, each in zip(shares, votes, strict=bool(shares)):
                    share[rows] = each / all_votes
                done = rows.stop
        restored = np.ascontiguousarray(first.turn.undo(labels))
        if not self.postprocess:
            return restored
        return postprocess(restored, first.native.affine, targets.classes, self.postprocess)


def common_steps(specs: Sequence[SegmenterSpec]) -> dict[str, Steps]:
    """The postprocessing of those classes for which all have the same."""
    first, *others = (spec.postprocess for spec in specs)
    return {
        name: steps
        for name, steps in first.items()
        if all(other.get(name) == steps for other in others)
    }


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _slab_axis(pairs: Sequence[tuple[Segmenter, Prepared]]) -> int:
    """Along which all go through the image: as one alone would, and best for all together."""
    if all(_logit_bytes(*pair) <= WHOLE for pair in pairs):
        return 0
    return min(range(3), key=lambda axis: sum(_slab_bytes(*pair, axis) for pair in pairs))


def _logit_bytes(member: Segmenter, prepared: Prepared) -> float:
    return 4.0 * member.task.targets.outputs * math.prod(prepared.grid.shape)


def _slab_bytes(member: Segmenter, prepared: Prepared, axis: int) -> float:
    """Bytes of logits in a slab that is one window thick."""
    share = min(member.task.patch[axis] / prepared.grid.shape[axis], 1.0)
    return share * _logit_bytes(member, prepared)


def _probabilities(
    member: Segmenter, prepared: Prepared, axis: int, name: str
) -> Iterator[np.ndarray]:
    """Rows along `axis` of the oriented image, from the first to the last: (C_cls, rows, ...).

    In units of 1 / `ONE`, in float64. Raises UserError, which says `name`, as `finite` does.
    """
    targets = member.task.targets
    classes = targets.outputs
    depth, *across = to_front(prepared.oriented.shape, axis)
    box, *inside = to_front(prepared.box, axis)

    def background(rows: int) -> np.ndarray:
        votes = np.zeros((classes, rows, *across))
        votes[: targets.first_scored] = ONE
        return votes

    def empty(start: int, stop: int) -> Iterator[np.ndarray]:
        for rows in row_ranges(stop, classes * math.prod(across), start):
            yield background(rows.stop - rows.start)

    device = next(member.network.parameters()).device
    slabs = finite(member.inferer.slabs(prepared.image, member.network, axis, device), name)
    way = prepared.back.along(axis)
    yield from empty(0, box.start)
    for rows, scores in class_scores(slabs, way, classes, held=classes):
        logits = torch.from_numpy(np.stack([way.slab(read, rows) for read in scores]))
        votes = background(len(logits[0]))
        found = targets.probabilities(logits.double()[None])[0]
        votes[:, :, *inside] = found.mul_(ONE).round_().numpy()
        yield votes
    yield from empty(box.stop, depth)


def _sums(streams: Sequence[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """The sums of streams of rows, which are as many in all, but may be cut anywhere."""
    heads = [next(stream) for stream in streams]
    while heads:
        rows = min(head.shape[1] for head in heads)
        yield reduce(np.add, (head[:, :rows] for head in heads))
        rest = (
            head[:, rows:] if head.shape[1] > rows else next(stream, None)
            for head, stream in zip(heads, streams, strict=True)
        )
        heads = [head for head in rest if head is not None]  # all end at once
