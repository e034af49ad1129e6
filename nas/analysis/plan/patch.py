"""How large the patches are that networks train on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.analysis.plan.choice import Choice
from search_spaces.axes import LEAST, axes_for

Size = tuple[int, int, int]

MOST = 4  # halvings that a patch leaves room for: networks of stride 16
SHORTEST = 8  # voxels along an axis to which a patch is shrunk


def choose_patch(
    shape: Sequence[float], spacing: Sequence[float], voxels: float, limited_by: str
) -> Choice[Size]:
    """The median volume, shrunk until it has at most so many `voxels`.

    shape: of the median prepared volume (D, H, W), spacing: of its voxels, mm. As in nnU-Net
    (Isensee et al. 2021, Supplementary Note 2) it is the axis that is longest relative to the
    volume that is shrunk next, and each length suits the halvings along its axis. `limited_by`:
    what allows no more voxels, for the reason.
    """
    starts = axes_for(spacing, (1, 1, 1)).starts
    patch = [_fitting(math.ceil(n), start, up=True) for n, start in zip(shape, starts, strict=True)]
    whole = list(patch)
    while math.prod(patch) > voxels:
        axes = [axis for axis in range(3) if patch[axis] > SHORTEST]
        if not axes:
            break
        axis = max(axes, key=lambda a: (min(patch[a] / shape[a], 1), patch[a]))
        patch[axis] = _fitting(patch[axis] - 1, starts[axis], up=False)
    median = " x ".join(f"{n:.0f}" for n in shape)
    covers = "a patch holds nearly all of it" if patch == whole else limited_by
    d, h, w = patch
    return Choice((d, h, w), f"the median volume has {median} voxels once prepared; {covers}")


def multiple(length: int, start: int) -> int:
    """What a length should be a multiple of, along an axis that is halved from step `start` on."""
    halvings = int(math.log2(length / LEAST)) if length > LEAST else 0
    return 2 ** max(0, min(halvings, MOST - start))


def _fitting(length: int, start: int, up: bool) -> int:
    """The next length, upwards or downwards, that is such a multiple."""
    while length % multiple(length, start):
        length += 1 if up else -1
    return length
