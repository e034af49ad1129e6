"""What the results of one study have in common, which must not change under it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainers.errors import UserError

EVALUATOR = "search.evaluator"  # with its arguments
UNSAID = {"space.axes": "isotropic"}  # what a study has that does not record it
DATA = "data"  # how they are prepared and split, and what is learnt of them
FILES = "data.files"  # the fingerprint of the data; not recorded by searches of before
PRECISION = "train.precision_used"  # what `auto` is on the device of the search
MEMORY_DEVICE = "memory.device"  # for which memory is estimated, where it counts
MEMORY_THREADS = "memory.threads"  # of a CPU, each of which has scratch space of its own
# Not recorded by searches of before, and then not compared.
IF_BOTH = {EVALUATOR, PRECISION, MEMORY_DEVICE, MEMORY_THREADS}
AWAY = re.compile(r"latency\.devices\.[^.]+")  # null, where a device did not answer


def check_settings_unchanged(
    old: Mapping[str, Any], new: Mapping[str, Any], directory: Path
) -> None:
    """Raise UserError with every value that differs between two trees of JSON values."""
    if changes := list(_changes(old, new)):
        raise UserError(
            f"{directory} holds a search with other settings; give --dir a new folder, or set "
            "them back:\n  " + "\n  ".join(changes)
        )


def check_data_unchanged(old: Mapping[str, Any], new: Mapping[str, Any], directory: Path) -> None:
    """The same of the data alone, for who goes on with the results of the search and adds none of
    its own settings. What `old` does not record is not compared."""
    recorded = {name: old[name] for name in (DATA, FILES) if name in old}
    if changes := list(_changes(recorded, {name: new[name] for name in recorded})):
        raise UserError(
            f"the data are not those of the search in {directory}, and what is measured on them "
            "would be compared with its results; set them back:\n  " + "\n  ".join(changes)
        )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """A line for every value that differs."""
    if FILES not in old:
        new = {name: value for name, value in new.items() if name != FILES}
    found = list(differences({**UNSAID, **old}, {**UNSAID, **new}))
    names = {name for name, _, _ in found}
    if any(name.startswith(f"{DATA}.") and name != FILES for name in names):
        names.discard(FILES)  # which follows
    if "train.precision" in names:
        names.discard(PRECISION)
    yield from (_told(*difference) for difference in found if difference[0] in names)


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Of every value that differs between two trees of JSON values its path, and both as text."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            place = f"{name}.{key}" if name else key
            if place in IF_BOTH and not (key in old and key in new):
                continue
            away = AWAY.fullmatch(place) and key in old and key in new
            if not (away and None in (old[key], new[key])):
                yield from differences(old.get(key), new.get(key), place)
    elif old != new:
        yield name, _short(old), _short(new)


def _told(name: str, one: str, other: str) -> str:
    if name == FILES:
        return "data: the cases have other files, by their names, sizes or times of change"
    if name == PRECISION:
        return f"networks trained in {one}, and resources.gpus makes train.precision {other}"
    if name == MEMORY_DEVICE:
        return f"memory was estimated for {one}, and resources.gpus makes it {other}"
    if name == MEMORY_THREADS:
        return f"memory was estimated for resources.cpus = {one}, and they are {other}"
    return f"{name} was {one} and is {other}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
