"""What is wrong or doubtful between cases: content that comes twice, classes, odd sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from trainers.data.check.facts import CaseFacts
from trainers.data.check.finding import Finding, Kind
from trainers.data.splits import Cases
from trainers.errors import listed
from trainers.volumes.geometry import by
from trainers.volumes.targets import Targets
from trainers.volumes.units import NO_AIR

APART = 3.0  # times larger or smaller than the median
ENOUGH = 3  # cases that a median is of
SHOWN = 10  # classes that are named
HOUNSFIELD = 500.0  # HU: CT reaches below minus and above plus this, other images do not
OTHER_UNIT = 10.0  # times a larger or smaller range than the median's


def check_parts(
    facts: Sequence[CaseFacts], targets: Targets, split: Cases | None = None
) -> list[Finding]:
    """What the cases are to each other, and to the parts of a split where it is known.

    The same image with the same label in two parts is a fault, as a case that a split file names
    twice is: validation would measure memory. With another label, as of a second reader, or in one
    part, it is a doubt. Constant images are not compared. That training or validation has no class
    of the `targets` at all, or no region, is a fault, too; without a split, that no case has.
    """
    parts = _parts(facts, split)
    used = [one for one in facts if one.name in parts]
    return [
        *_duplicates(used, parts),
        *_classes(used, targets, parts),
        *_sizes(used),
        *_intensities(used),
    ]


def hounsfield(facts: Sequence[CaseFacts], channel: int) -> bool:
    """Whether the values of most cases are Hounsfield units."""
    return lowest_hounsfield(facts, channel) is not None


def lowest_hounsfield(facts: Sequence[CaseFacts], channel: int) -> float | None:
    """The lowest value of the median case, HU; None where most are in other units."""
    lowest, _, _, _, highest = _median(facts, channel)
    return float(lowest) if lowest < -HOUNSFIELD and highest > HOUNSFIELD else None


def _median(facts: Sequence[CaseFacts], channel: int) -> np.ndarray:
    """Of the percentiles that cases have."""
    return np.asarray(np.median([one.intensities[channel] for one in facts], axis=0))


def _parts(facts: Sequence[CaseFacts], split: Cases | None) -> Mapping[str, str]:
    """Case -> its part; one part, without a name, where no split is known."""
    if split is None:
        return {one.name: "" for one in facts}
    return {name: part for part, names in split.parts.items() for name in names}


def _duplicates(facts: Sequence[CaseFacts], parts: Mapping[str, str]) -> Iterator[Finding]:
    seen: dict[str, list[CaseFacts]] = defaultdict(list)
    for one in facts:
        if one.constant:
            continue
        if earlier := seen[one.image]:
            # The worst of them: in another part, and with the same label.
            worst = max(
                earlier,
                key=lambda other: (
                    parts[other.name] != parts[one.name],
                    other.label == one.label,
                ),
            )
            yield _duplicate(one, worst, parts)
        earlier.append(one)


def _duplicate(one: CaseFacts, other: CaseFacts, parts: Mapping[str, str]) -> Finding:
    own, others = parts[one.name], parts[other.name]
    same = one.label == other.label
    if same:
        told = f"image and label are the same as those of {other.name}"
    else:
        told = f"the image is the same as that of {other.name}, the label is not"
    if own == others:
        where = f"; both are in {own}" if own else ""
        return Finding(case=one.name, kind=Kind.DUPLICATE, message=told + where)
    return Finding(
        case=one.name,
        kind=Kind.LEAK if same else Kind.DUPLICATE,
        message=f"{told}; that is in {others}, this in {own}: scores will be too good; remove one, "
        "or keep them in one part (data.split.groups)",
    )


def _classes(
    facts: Sequence[CaseFacts], targets: Targets, parts: Mapping[str, str]
) -> Iterator[Finding]:
    """Which classes a part lacks. A test set may lack what it likes."""
    nowhere = _absent(facts, targets.classes)
    if nowhere:
        yield _lacking("case", nowhere, targets)
    for part, verb in (("training", "learnt"), ("validation", "scored")):
        lost = _absent([one for one in facts if parts[one.name] == part], targets.classes)
        if lost - nowhere:
            every = _all_of(lost, targets) and not _all_of(nowhere, targets)
            told = lost if every else lost - nowhere
            yield _lacking(f"{part} case", told, targets, verb)


def _lacking(where: str, missing: set[int], targets: Targets, verb: str = "") -> Finding:
    """`verb`: what cannot be done with a class that is missing."""
    if _all_of(missing, targets):
        told = f"no {where} has any class: all labels are background alone"
        if targets.regions:
            told = f"no {where} has any region: all labels are in none"
        return Finding(case=None, kind=Kind.NO_FOREGROUND, message=told)
    names = [f"{index} ({targets.classes[index]})" for index in sorted(missing)]
    what, it = ("class", "it") if len(names) == 1 else ("any of the classes", "they")
    cannot = f": {it} cannot be {verb}" if verb else ""
    told = f"no {where} has {what} {listed(names, SHOWN)}{cannot}"
    return Finding(case=None, kind=Kind.CLASS, message=told)


def _all_of(missing: set[int], targets: Targets) -> bool:
    """Whether nothing is left that is scored."""
    return missing.issuperset(chain(*targets.groups))


def _absent(facts: Sequence[CaseFacts], classes: Sequence[str]) -> set[int]:
    """The classes that none of the cases has; none where there are no cases."""
    if not facts:
        return set()
    voxels = np.sum([one.voxels for one in facts], axis=0)
    return {index for index in range(1, len(classes)) if not voxels[index]}


def _sizes(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Voxels and fields of view that are odd beside the set's median."""
    if len(facts) < ENOUGH:
        return
    voxel = np.median([one.voxel_size for one in facts], axis=0)
    extent = np.median([one.extent for one in facts], axis=0)
    for one in facts:
        ratios = one.voxel_size / voxel
        if max(ratios) > APART or min(ratios) < 1 / APART:
            told = f"voxels are {by(one.voxel_size)} mm, the median of the set is {by(voxel)}"
            yield Finding(case=one.name, kind=Kind.VOXEL_SIZE, message=told)
        elif np.any(one.extent < extent / APART):
            told = (
                f"image is {by(one.extent)} mm, the median of the set is {by(extent)}: "
                "a small part of it?"
            )
            yield Finding(case=one.name, kind=Kind.EXTENT, message=told)


def _intensities(facts: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Cases that are not in the Hounsfield units of the others: a window would clip all of them.

    Other images have no unit, and are normalised each by itself.
    """
    if len(facts) < ENOUGH:
        return
    count = len(facts[0].intensities)
    for channel in range(count):
        if not hounsfield(facts, channel):
            continue
        lowest, first, _, last, _ = _median(facts, channel)
        where = f" in channel {channel}" if count > 1 else ""
        for one in facts:
            low, own_first, _, own_last, high = one.intensities[channel]
            if low == high:
                continue  # constant, which was said
            usual, own = last - first, own_last - own_first
            if usual and not usual / OTHER_UNIT < own < usual * OTHER_UNIT:
                told = (
                    f"99% of the voxels are {own_first:.4g} to {own_last:.4g}{where}, in the "
                    f"median case {first:.4g} to {last:.4g}: no Hounsfield units?"
                )
            elif low > NO_AIR:
                told = (
                    f"the lowest value is {low:.4g}{where}, in the median case {lowest:.4g}: no "
                    "Hounsfield units?"
                )
            else:
                continue
            yield Finding(case=one.name, kind=Kind.INTENSITY, message=told)
