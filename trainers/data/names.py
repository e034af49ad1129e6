"""Names of classes and modalities: what tables, files and MLflow tell them apart by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trainers.data.source import DataSource
from trainers.errors import UserError, shortened

LONGEST = 100  # characters; MLflow takes 250 for a metric


def check_names(source: DataSource) -> None:
    """Raises UserError where a class, region or modality has no good name, or that of another, and
    where there is no class beside the background."""
    where = f"{source.folder}: {source.described_by}"
    if len(source.classes) < 2:
        told = ", ".join(map(_shown, source.classes)) or "none"
        raise UserError(
            f"{where}: the classes are {told}; expected the background and one more at least, such "
            "as [background, liver]"
        )
    regions = [region.name for region in source.targets.regions]
    for kind, names in (
        ("class", source.classes),
        ("region", regions),
        ("modality", source.modalities),
    ):
        check_unique(names, kind, where)
        if kind == "class" and (shifted := [n for n in names[1:] if n.lower() == "background"]):
            raise UserError(
                f"{where}: class {names.index(shifted[0])} is called {shifted[0]}, but class 0 is "
                "the background; number the classes from it"
            )
        for number, name in enumerate(names):
            if fault := _fault(name):
                raise UserError(f"{where}: {kind} {number} has the name {_shown(name)}, {fault}")
        kept: dict[str, str] = {}  # as MLflow takes it -> as it is
        for name in names:
            if (other := kept.setdefault(re.sub(r"[^\w\-.: ]", "_", name), name)) != name:
                raise UserError(
                    f"{where}: {_shown(other)} and {_shown(name)} differ only in signs that become "
                    f"_ where results are recorded; name one {kind} differently"
                )


def check_unique(names: Sequence[str], kind: str, where: str) -> None:
    """Raises UserError where a name stands twice. `kind`: of what, `where`: in which file."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        numbers = [str(number) for number, name in enumerate(names) if name == twice[0]]
        raise UserError(
            f"{where}: {kind} {' and '.join(numbers)} have one name, {_shown(twice[0])}; expected "
            "one name for each"
        )


def _fault(name: str) -> str | None:
    if not name.strip():
        return "which is empty; expected a word or two"
    if name != name.strip():
        return "which begins or ends with a space; remove it"
    if not name.isprintable():
        return "which has signs that cannot be printed, such as a line break; remove them"
    if len(name) > LONGEST:
        return f"of {len(name)} characters; expected {LONGEST} at most"
    return None


def _shown(name: str) -> str:
    return shortened(repr(name))
