"""Cases that a file lists one by one: what a table and a datalist have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.data.dataset import Dataset
from trainers.data.msd_descriptor import by_number
from trainers.data.source import Case
from trainers.data.targets import nnunet_targets
from trainers.errors import UserError, listed
from trainers.read_json import read_json
from trainers.volumes.files import case_name, one_or_all
from trainers.volumes.targets import Targets

SHOWN = 5  # names

Names = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One case as it is listed; without a `name` it gets that of its image's file."""

    images: tuple[Path, ...]
    label: Path
    name: str = ""
    group: str = ""
    parts: tuple[str, ...] = ()


def read_facts(file: Path) -> Mapping[str, Any]:
    """What the JSON file says, such as dataset.json beside a table; nothing where it is missing.

    Raises UserError where it is damaged.
    """
    if not file.exists():
        return {}
    told = read_json(file)
    if not isinstance(told, dict):
        raise UserError(f"{file}: expected keys and values")
    return told


def list_cases(
    file: Path,
    entries: Sequence[Entry],
    classes: Names | None,
    modalities: Names | None,
    facts: Mapping[str, Any],
    described_by: Path,
) -> Dataset:
    """The cases of `file`, with the names of classes and modalities.

    Those that are None are in the `facts` of the JSON file `described_by`: `labels` by number, or
    by name, which may be regions; `channel_names` or `modality`. Raises UserError where the classes
    are said nowhere, or a case has another number of files than there are modalities, and more than
    one.
    """
    if not entries:
        raise UserError(f"{file} lists no case with a label; expected two or more")
    targets = Targets(classes) if classes else _targets(file, described_by, facts)
    count = len(entries[0].images)
    modalities = modalities or _modalities(described_by, facts) or _numbered(count)
    for entry in entries:
        if len(entry.images) not in (1, len(modalities)):
            raise UserError(
                f"{file}: {entry.images[0].name} is one of {len(entry.images)} files of a case; "
                f"expected one, or {len(modalities)}: {', '.join(modalities)}"
            )
    names = _names(file, entries)
    cases = [
        Case(name, one_or_all(e.images), e.label, e.group or None, e.parts)
        for name, e in zip(names, entries, strict=True)
    ]
    cases.sort(key=lambda case: case.name)
    return Dataset.of(file.parent, modalities, targets, cases, file.name)


def _targets(file: Path, described_by: Path, facts: Mapping[str, Any]) -> Targets:
    labels = facts.get("labels")
    if isinstance(labels, dict) and labels:
        if all(isinstance(value, str) for value in labels.values()):
            return Targets(by_number(described_by, "labels", labels))
        order = facts.get("regions_class_order", ())
        return nnunet_targets(labels, order, str(described_by))
    raise UserError(
        f"{file}: what the numbers of the labels mean is not said; set data.classes to their names "
        "in order, such as [background, liver, tumour], or write them into "
        f'{described_by}: "labels": {{"background": 0, "liver": 1, "tumour": 2}}'
    )


def _modalities(described_by: Path, facts: Mapping[str, Any]) -> Names | None:
    for key in ("channel_names", "modality"):
        names = facts.get(key)
        if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
            return by_number(described_by, key, names)
        if isinstance(names, str):
            return (names,)
    return None


def _numbered(count: int) -> Names:
    return ("image",) if count == 1 else tuple(f"image {n}" for n in range(count))


def _names(file: Path, entries: Sequence[Entry]) -> list[str]:
    """The names that are given; else those of the image files, with as many of the folders above
    them as tell all of them apart. Raises UserError where an image without a name comes twice."""
    paths = [entry.images[0].absolute() for entry in entries]
    for folders in range(max(len(path.parts) for path in paths)):
        names = [
            entry.name or "_".join([*path.parent.parts, case_name(path)][-folders - 1 :])
            for entry, path in zip(entries, paths, strict=True)
        ]
        if max(Counter(names).values()) == 1:
            return names
    unnamed = Counter(path for entry, path in zip(entries, paths, strict=True) if not entry.name)
    if twice := [str(path) for path, count in unnamed.items() if count > 1]:
        raise UserError(
            f"{file} lists {listed(twice, SHOWN)} more than once; remove what is there twice, or "
            "give each its name (case) where an image has several labels"
        )
    return names


def unread(what: str, names: Sequence[str], group: bool, split: bool) -> str:
    """The columns patient, age; and what would be read, where `group` and `split` are not there."""
    several = len(names) > 1
    told = f"the {what}{'s' if several else ''} {listed(names, SHOWN)}"
    hints = [f"{told}, which {'mean' if several else 'means'} nothing here"]
    hints += [] if group else ["`group` keeps the cases of a patient in one part"]
    hints += [] if split else ["`split` says training, validation or test"]
    return "; ".join(hints)
