"""What the labels of the training cases say of each class: how many components, how large, beside
what and how far from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from trainers.volumes.geometry import rounded, voxel_sizes
from trainers.volumes.nifti import affine_of, load_labels, mended_before, open_volume
from trainers.volumes.postprocess import JOINED, LabelMap, wider_box
from trainers.volumes.settings import AffineRule
from trainers.volumes.steps import Place

FEWEST = 5  # cases that have both of two classes, to say where one lies from the other
STRAY = 0.1  # of a class's largest component; what is smaller is a slip of the pen
SLACK = 0.5  # of a range that was seen, allowed beyond each of its ends


@dataclass(frozen=True)
class Prior:
    """One class. `components`: the most in a case, strays apart; `volume_mm3`: half of the smallest
    of them in any case; `touches`: classes that it touches in all cases that have both; `places`:
    see `Place`, for each class in `FEWEST` cases or more."""

    components: int
    volume_mm3: float
    touches: tuple[str, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Seen:
    """One class of one case. `middle`: of its largest component, (3,) mm."""

    components: int
    smallest_mm3: float
    middle: np.ndarray
    beside: frozenset[str]


def look_at(label: Path, classes: Sequence[str], rule: AffineRule) -> dict[str, Seen]:
    """What the label file of a case shows of each class that is in it.

    classes: the names of the values, the background first; other values are none. rule: which
    affine of a header counts.
    """
    with mended_before():
        values = load_labels(label)
        values[values >= len(classes)] = 0
        return _look(values, affine_of(open_volume(label), rule), classes)


def priors_of(cases: Sequence[Mapping[str, Seen]], classes: Sequence[str]) -> dict[str, Prior]:
    """Of each class that a case shows."""
    names = [name for name in classes[1:] if any(name in case for case in cases)]
    return {name: _prior(name, names, cases) for name in names}


def _look(labels: np.ndarray, affine: np.ndarray, classes: Sequence[str]) -> dict[str, Seen]:
    place, voxel = LabelMap(labels, affine, classes), float(voxel_sizes(affine).prod())
    seen = {}
    for value, name in enumerate(classes[1:], start=1):
        middle, box = place.middle(name), place.box(value)
        if middle is None or box is None:
            continue
        here = labels[wider_box(box, labels.shape)]
        found, _ = ndimage.label(here == value, JOINED)
        sizes = np.bincount(found.ravel())[1:]
        sizes = sizes[sizes >= STRAY * sizes.max()]
        touched = np.unique(here[ndimage.binary_dilation(found, JOINED)])
        beside = frozenset(classes[v] for v in touched if v not in (0, value))
        seen[name] = Seen(len(sizes), float(sizes.min()) * voxel, middle, beside)
    return seen


def _prior(name: str, names: Sequence[str], cases: Sequence[Mapping[str, Seen]]) -> Prior:
    own = [case[name] for case in cases if name in case]
    both = {
        other: [case for case in cases if name in case and other in case]
        for other in names
        if other != name
    }
    enough = {other: having for other, having in both.items() if len(having) >= FEWEST}
    return Prior(
        components=max(one.components for one in own),
        volume_mm3=0.5 * min(one.smallest_mm3 for one in own),
        touches=tuple(
            other
            for other, having in enough.items()
            if all(other in case[name].beside for case in having)
        ),
        places=tuple(
            _place(other, np.array([case[name].middle - case[other].middle for case in having]))
            for other, having in enough.items()
        ),
    )


def _place(other: str, away: np.ndarray) -> Place:
    """away: (cases, 3) mm."""
    low, high = away.min(0), away.max(0)
    slack = SLACK * (high - low)
    ends = low - slack, high + slack
    return Place(other, *(tuple(rounded(float(mm), 1) for mm in end) for end in ends))
