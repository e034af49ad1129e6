"""What a check found: faults, which refuse the data, and doubts, which a person should look at."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from trainers.data.source import DataSource
from trainers.errors import UserError
from trainers.strict import Strict

LISTED = 3  # cases, and lines of one kind of doubt, in a warning


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
    SPLIT = "split"
    OUTLIER = "outlier voxels"
    CONSTANT = "constant image"
    EMPTY = "empty label"
    GEOMETRY = "geometry"
    UNIT = "unit"
    STORED = "label storage"
    VOXEL_SIZE = "voxel size"
    EXTENT = "field of view"
    INTENSITY = "intensities"
    DUPLICATE = "duplicate"
    CLASS = "class"


FAULTS = (
    Kind.MISSING, Kind.UNREADABLE, Kind.CHANNELS, Kind.NOT_FINITE, Kind.LABEL_VALUES, Kind.PAIR,
    Kind.NO_FOREGROUND, Kind.LEAK, Kind.SPLIT,
)  # fmt: skip


class Finding(Strict):
    """One thing that is wrong or doubtful, of one case; of the whole set where `case` is None."""

    case: str | None
    kind: Kind
    message: str

    @property
    def fault(self) -> bool:
        """The data cannot be used as they are."""
        return self.kind in FAULTS


def grouped(findings: Iterable[Finding], most: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """(cases, message): one line for what is said of several cases alike.

    A kind with more than `most` lines becomes one, with the first message as an example.
    """
    kinds: dict[Kind, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in findings:
        kinds[one.kind][one.message] += [one.case] if one.case else []
    for messages in kinds.values():
        if len(messages) <= most:
            yield from ((tuple(cases), message) for message, cases in messages.items())
            continue
        message, [first, *_] = next(iter(messages.items()))
        everyone = dict.fromkeys(case for cases in messages.values() for case in cases)
        yield tuple(everyone), f"such as {first}: {message}"


def refuse(findings: Sequence[Finding], source: DataSource, expecting: str | None = None) -> None:
    """Raises one UserError that lists every fault, by case.

    expecting: as in `examine`; without it, a case is also an entry of the source's own list.
    """
    of_case = "" if expecting else f": their files, and their entries in {source.described_by}"
    refuse_cases(findings, source.folder, len(source.cases), of_case)


def refuse_cases(findings: Sequence[Finding], folder: Path, cases: int, of_case: str) -> None:
    """Raises one UserError that lists every fault, by case.

    cases: how many there are in the folder. of_case: what is removed with a case, after a colon.
    """
    faults = [one for one in findings if one.fault]
    if not faults:
        return
    lines = [
        f"  {one.case}  {one.message}" if one.case else f"  {one.message}"
        for one in sorted(faults, key=lambda one: one.case or "")
    ]
    raise UserError(
        "\n".join(
            [
                f"{folder}: {verdict(faults, cases)}",
                *lines,
                f"Mend or add these files, or remove the cases{of_case}.",
            ]
        )
    )


def verdict(faults: Sequence[Finding], cases: int) -> str:
    """2 of 60 cases cannot be used."""
    bad = len({one.case for one in faults if one.case})
    return f"{bad} of {cases} cases cannot be used" if bad else "these data cannot be used"


def warn(findings: Iterable[Finding], folder: Path, more: str = "") -> None:
    """One warning that tells all doubts, in few lines. `more`: where there is more of them."""
    lines = [
        f"  {whose(cases, LISTED)}  {message}" if cases else f"  {message}"
        for cases, message in grouped((one for one in findings if not one.fault), LISTED)
    ]
    if lines:
        warnings.warn("\n".join([f"{folder}: used, with doubts{more}", *lines]), stacklevel=3)


def whose(cases: Sequence[str], most: int) -> str:
    """a, b, c; or 31 cases: a, b, c, ... where they are more than `most`."""
    named = ", ".join(cases[:most])
    return f"{len(cases)} cases: {named}, ..." if len(cases) > most else named
