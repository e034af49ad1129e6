"""Names to spaces and presets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from search_spaces import (
    apformer,
    baselines,
    deploylite,
    hybrid,
    lightmedseg,
    slimformer,
    token_sparse,
)
from search_spaces.compressed import Compressed
from search_spaces.space import Architecture, ArchitectureError, SearchSpace

SPACES: Mapping[str, SearchSpace] = {
    module.SPACE.name: module.SPACE
    for module in (hybrid, slimformer, token_sparse, apformer, lightmedseg, deploylite, baselines)
}
ALIASES: Mapping[str, str] = {  # families, as papers and spaces name them, and what stands for each
    "slimformer": "slimformer3d",
    "slimformer-3d": "slimformer3d",
    "stp-mta": "stp-mta-unetr-r75",
    "stp-mta-unetr": "stp-mta-unetr-r75",
    "token_sparse": "stp-mta-unetr-r75",
    "deploylite": "deploylite-m",
    "hybrid": "hybrid-m",
}
ARCHITECTURE = "architecture.json"  # the file of a record, in a folder
ENTRY_POINTS = "segnas.spaces"  # the group in which other packages offer spaces


@cache
def all_spaces() -> Mapping[str, SearchSpace]:
    """The spaces here, and those that installed packages offer as entry points.

    Raises ArchitectureError for an entry point that does not import, is no SearchSpace of its name,
    or takes a name that another space or preset has.
    """
    spaces = dict(SPACES)
    presets = {name for space in spaces.values() for name in space.presets()}
    for entry in entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name} = {entry.value}"
        try:
            space = entry.load()
        except (ImportError, AttributeError) as error:
            raise ArchitectureError(f"{where}: {error}") from error
        if not isinstance(space, SearchSpace) or space.name != entry.name:
            raise ArchitectureError(f"{where}: expected a SearchSpace named {entry.name}")
        taken = presets & space.presets().keys() or spaces.keys() & {entry.name}
        if taken:
            raise ArchitectureError(f"{where}: another space has the name {min(taken)}")
        spaces[entry.name] = space
        presets |= space.presets().keys()
    return spaces


def find_space(name: str) -> SearchSpace:
    """The space of that name. Raises ArchitectureError with the names there are."""
    if name not in all_spaces():
        raise ArchitectureError(_unknown("space", name, all_spaces()))
    return all_spaces()[name]


def all_presets() -> dict[str, Architecture]:
    """Every named architecture of every space."""
    return {name: a for space in all_spaces().values() for name, a in space.presets().items()}


def is_preset(name: str) -> bool:
    """Whether `find_preset` finds it."""
    return name in all_presets() or name in ALIASES


def find_preset(name: str) -> Architecture:
    """The named architecture; see `ALIASES`. Raises ArchitectureError with the nearest names."""
    presets = all_presets()
    known = name if name in presets else ALIASES.get(name)
    if known is None:
        raise ArchitectureError(_unknown("preset", name, presets))
    return presets[known]


def architecture_record(architecture: Architecture) -> dict[str, Any]:
    """What `load_architecture` reads: space, key and choices."""
    return {
        "space": architecture.space,
        "key": architecture.key,
        "architecture": architecture.to_json(),
    }


def load_architecture(record: Mapping[str, Any]) -> Architecture:
    """The network that a record names.

    Raises ArchitectureError where a field does not fit, or where the record's key is another one's:
    a key never silently means another network.
    """
    if not isinstance(record, Mapping):
        raise ArchitectureError(f"{type(record).__name__} found; expected space, key, architecture")
    for field in ("space", "architecture"):
        if field not in record:
            raise ArchitectureError(
                f"{field} is missing; an architecture file has space, key, architecture"
            )
    if not isinstance(record["space"], str):
        raise ArchitectureError(f"space = {record['space']!r}; expected the name of a space")
    if record["space"] == Compressed.space:
        architecture = Compressed.read(record["architecture"], load_architecture)
    else:
        architecture = find_space(record["space"]).from_json(record["architecture"])
    if record.get("key", architecture.key) != architecture.key:
        raise ArchitectureError(
            f"key is {record['key']}, but these choices are {architecture.key}; "
            "the file was edited (remove its key) or written by another version"
        )
    return architecture


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{name!r} is no {kind}.{hint} There are: {', '.join(known)}"
