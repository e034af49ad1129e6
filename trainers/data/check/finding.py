"""What a check found: faults, which refuse the data, and doubts, which a person should look at."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from trainers.data.source import DataSource
from trainers.errors import UserError
from trainers.strict import Strict

LISTED = 3  # cases of one doubt that get a line of their own


class Kind(StrEnum):
    """Everything that a check can find."""

    MISSING = "missing file"
    UNREADABLE = "unreadable"
    CHANNELS = "channels"
    NOT_FINITE = "not finite"
    LABEL_VALUES = "label values"
    PAIR = "image and label differ"
    NO_FOREGROUND = "no foreground"
    LEAK = "leak"
    OUTLIER = "outlier voxels"
    CONSTANT = "constant image"
    EMPTY = "empty label"
    GEOMETRY = "geometry"
    UNIT = "unit"
    STORED = "label storage"
    VOXEL_SIZE = "voxel size"
    EXTENT = "field of view"
    DUPLICATE = "duplicate"
    CLASS = "class"


FAULTS = frozenset(
    {
        Kind.MISSING,
        Kind.UNREADABLE,
        Kind.CHANNELS,
        Kind.NOT_FINITE,
        Kind.LABEL_VALUES,
        Kind.PAIR,
        Kind.NO_FOREGROUND,
        Kind.LEAK,
    }
)


class Finding(Strict):
    """One thing that is wrong or doubtful, of one case; of the whole set where `case` is None."""

    case: str | None
    kind: Kind
    message: str

    @property
    def fault(self) -> bool:
        """The data cannot be used as they are."""
        return self.kind in FAULTS


def grouped(findings: Sequence[Finding]) -> Iterator[tuple[tuple[str, ...], str, Kind]]:
    """(cases, message, kind), faults first. What more than `LISTED` cases share comes once."""
    kinds: dict[Kind, list[Finding]] = defaultdict(list)
    for finding in sorted(findings, key=lambda one: not one.fault):
        kinds[finding.kind].append(finding)
    for kind, members in kinds.items():
        if len(members) <= LISTED:
            for one in members:
                yield (one.case,) if one.case else (), one.message, kind
            continue
        first = members[0]
        cases = tuple(dict.fromkeys(one.case for one in members if one.case))
        alike = all(one.message == first.message for one in members)
        yield cases, first.message if alike else f"such as {first.case}: {first.message}", kind


def refuse(findings: Sequence[Finding], source: DataSource, expecting: str | None = None) -> None:
    """Raises one UserError that lists every fault, by case.

    expecting: as in `examine`; without it, a case is also an entry of the source's own list.
    """
    faults = [one for one in findings if one.fault]
    if not faults:
        return
    lines = [
        f"  {one.case}  {one.message}" if one.case else f"  {one.message}"
        for one in sorted(faults, key=lambda one: one.case or "")
    ]
    listed = "" if expecting else f": their files, and their entries in {source.described_by}"
    raise UserError(
        "\n".join(
            [
                f"{source.folder}: {verdict(faults, len(source.cases))}",
                *lines,
                f"Mend or add these files, or remove the cases{listed}.",
            ]
        )
    )


def verdict(faults: Sequence[Finding], cases: int) -> str:
    """2 of 60 cases cannot be used."""
    bad = len({one.case for one in faults if one.case})
    return f"{bad} of {cases} cases cannot be used" if bad else "these data cannot be used"


def warn(findings: Sequence[Finding], folder: Path) -> None:
    """One warning that tells all doubts, those that many cases share in one line."""
    doubts = [one for one in findings if not one.fault]
    if not doubts:
        return
    lines = [f"  {_whose(cases)}{message}" for cases, message, _ in grouped(doubts)]
    text = "\n".join([f"{folder}: doubts, which `segnas check` shows in full", *lines])
    warnings.warn(text, stacklevel=3)


def _whose(cases: Sequence[str]) -> str:
    if len(cases) > LISTED:
        return f"{len(cases)} cases  "
    return "".join(f"{case}  " for case in cases)
