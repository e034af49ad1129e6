"""How large the patches are that networks train on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.analysis.plan.choice import Choice
from search_spaces.axes import LEAST, axes_for

Size = tuple[int, int, int]

MOST = 4  # halvings that a patch leaves room for: networks of stride 16
USUAL = 3  # halvings of most networks, for which a patch leaves room where all axes are alike
SHORTEST = 8  # voxels along an axis to which a patch is shrunk
FINEST = 4 * LEAST  # voxels along one of the finest axes, which all networks halve twice at least
THIN = 16  # voxels: an axis of so few is not shrunk while another has more
FEWEST = 32**3  # voxels to which a patch is shrunk: smaller ones show too little


def choose_patch(
    shape: Sequence[float],
    spacing: Sequence[float],
    voxels: float,
    limited_by: str,
    at_once: float = 0.0,
) -> Choice[Size]:
    """The median volume, shrunk until it has at most so many `voxels`.

    shape: of the median prepared volume (D, H, W), spacing: of its voxels, mm. As in nnU-Net
    (Isensee et al. 2021, Supplementary Note 2) it is the axis that is longest relative to the
    volume that is shrunk next, and each length suits the halvings along its axis. `limited_by`:
    what allows no more voxels, for the reason. `at_once`: voxels up to which it is not shrunk at
    all, since a volume that is a little larger than the patch takes eight windows.
    """
    voxels = max(voxels, FEWEST)
    starts = axes_for(spacing, (1, 1, 1)).starts
    alike = not any(starts)
    least = [SHORTEST] * 3
    if not alike:
        longest = max(range(3), key=lambda axis: (not starts[axis], shape[axis]))  # of the finest
        least = [FINEST if axis == longest else 1 for axis in range(3)]
    patch = [
        _fitting(max(math.ceil(n), at_least), start, alike, 1)
        for n, at_least, start in zip(shape, least, starts, strict=True)
    ]
    whole = list(patch)
    if math.prod(whole) <= at_once:
        voxels = at_once
    while math.prod(patch) > voxels:
        thick = [axis for axis in range(3) if patch[axis] > THIN]
        axes = thick or [axis for axis in range(3) if patch[axis] > SHORTEST]
        if not axes:
            break
        axis = max(axes, key=lambda a: (min(patch[a] / shape[a], 1), patch[a]))
        patch[axis] = _fitting(patch[axis] - 1, starts[axis], alike, -1)
    median = " x ".join(f"{n:.0f}" for n in shape)
    covers = "a patch holds nearly all of it" if patch == whole else limited_by
    d, h, w = patch
    return Choice((d, h, w), f"the median volume has {median} voxels once prepared; {covers}")


def multiple(length: int, start: int, alike: bool) -> int:
    """What a length should be a multiple of, along an axis that is halved from step `start` on.

    `LEAST` voxels are left, as in nnU-Net; where all axes are `alike`, two will do for what most
    networks need.
    """
    halvings = min(_halvings(length, LEAST), MOST - start)
    if alike:
        halvings = max(halvings, min(_halvings(length, 2), USUAL))
    return 2 ** max(0, halvings)


def _halvings(length: int, least: int) -> int:
    return int(math.log2(length / least)) if length >= least else 0


def _fitting(length: int, start: int, alike: bool, way: int) -> int:
    """The next length, upwards (1) or downwards (-1), that is such a multiple."""
    while length % multiple(length, start, alike):
        length += way
    return length
