"""Which cases train, which choose the network, and which only test it."""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainers.data.config import Groups, Split
from trainers.errors import UserError
from trainers.read_json import read_json

PARTS = ("training", "validation", "test", "train")
SHOWN = 3  # names of cases


@dataclass(frozen=True)
class Cases:
    """Names of the cases in each part, sorted; no case is in two.

    `groups`: case -> what it shares with those that have to stay with it, where the data say so.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()
    groups: Mapping[str, str] | None = None

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The parts that have cases, as messages and files call them, with their names."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {part: names for part, names in parts.items() if names}

    def to_json(self) -> str:
        """A split file that `split_cases` reads back."""
        return json.dumps(self.parts, indent=1)


def split_cases(
    names: Iterable[str], split: Split | Path, groups: Mapping[str, str] | None = None
) -> Cases:
    """Split the cases by shares, or as a JSON file says.

    `groups`: case -> group, where the shares have none of their own. The result depends on the
    names and the seed, never on their order. Raises UserError where a part would be empty, and
    where the file names a case twice or one that the data do not have.
    """
    if isinstance(split, Path):
        return replace(_read_split(split, set(names)), groups=groups)
    return _draw(sorted(names), split, groups)


def _draw(names: list[str], split: Split, own_groups: Mapping[str, str] | None) -> Cases:
    groups = group_names(names, split.groups or own_groups)
    shares = {"validation": split.validation, "test": split.test}
    wanted = {part: share for part, share in shares.items() if share > 0}
    if len(groups) < len(wanted) + 1:
        unit = "groups" if split.groups or own_groups else "cases"
        raise UserError(
            f"data.split: {len(groups)} {unit} cannot make {len(wanted) + 1} parts; expected at "
            "least one for each of training, " + " and ".join(wanted)
        )
    order = np.random.default_rng(split.seed).permutation(len(groups))
    rest = [groups[index] for index in order]
    parts: dict[str, list[list[str]]] = {}
    for part, share in wanted.items():
        waiting = len(wanted) - len(parts)  # groups to leave: training, and the parts to come
        parts[part] = _take(rest, share * len(names), len(rest) - waiting)
    drawn = {part: _flat(taken) for part, taken in parts.items()}
    return Cases(_flat(rest), drawn["validation"], drawn.get("test", ()), own_groups)


def _take(rest: list[list[str]], target: float, most: int) -> list[list[str]]:
    """Move groups out of `rest`, one to `most`, as long as that comes nearer to `target` cases."""
    taken = [rest.pop(0)]
    size = len(taken[0])
    for group in list(rest):
        if len(taken) == most:
            break
        if abs(size + len(group) - target) < abs(size - target):
            rest.remove(group)
            taken.append(group)
            size += len(group)
    return taken


def _flat(groups: list[list[str]]) -> tuple[str, ...]:
    return tuple(sorted(name for group in groups for name in group))


def group_names(names: list[str], groups: Groups | Mapping[str, str] | None) -> list[list[str]]:
    """The names that stay together, group by group; without groups each is one of its own."""
    if groups is None:
        return [[name] for name in names]
    members = defaultdict(list)
    for name in names:
        group = group_of(name, groups) if isinstance(groups, Groups) else groups[name]
        members[group].append(name)
    return [members[key] for key in sorted(members)]


def group_of(name: str, groups: Groups) -> str:
    """What the pattern captures of the name. Raises UserError where it finds nothing."""
    found = re.search(groups.pattern, name)
    if found is None or found[1] is None:
        raise UserError(
            f"data.split.groups.pattern {groups.pattern!r} does not match the case {name!r}"
        )
    if groups.size == 1:
        return found[1]
    if not found[1].isdecimal():
        raise UserError(
            f"data.split.groups: the pattern captures {found[1]!r} in {name!r}; expected a number, "
            f"since size is {groups.size}"
        )
    return str((int(found[1]) - 1) // groups.size)


def _read_split(path: Path, names: set[str]) -> Cases:
    lists = _read_lists(path)
    if "train" in lists and "training" in lists:
        raise UserError(f"{path} has both `train` and `training`; expected one of them")
    train = lists.get("training", lists.get("train", ()))
    cases = Cases(tuple(train), tuple(lists.get("validation", ())), tuple(lists.get("test", ())))
    for part, members in (("training", cases.train), ("validation", cases.validation)):
        if not members:
            raise UserError(f"{path}: `{part}` is missing or empty; expected a list of case names")
    if "test" in lists and not cases.test:
        raise UserError(f"{path}: `test` is empty; list cases in it or leave it out")
    everyone = [*cases.train, *cases.validation, *cases.test]
    if twice := sorted({name for name in everyone if everyone.count(name) > 1}):
        raise UserError(f"{path}: {', '.join(twice)} named more than once; expected one part each")
    if unknown := sorted(set(everyone) - names):
        known = ", ".join(sorted(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise UserError(
            f"{path}: {', '.join(unknown)} not in the data, whose cases are {known}; remove or "
            "rename them"
        )
    train, validation, test = map(sorted, (cases.train, cases.validation, cases.test))
    return Cases(tuple(train), tuple(validation), tuple(test))


def _read_lists(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        raise UserError(f"{path} is missing; set data.split to a split file or shares")
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object with the lists `training` and `validation`")
    lists = {key: value for key, value in content.items() if isinstance(value, list)}
    for key in lists.keys() - set(PARTS):
        near = [part for part in PARTS if part.startswith(key.lower())]
        if near := near or difflib.get_close_matches(key.lower(), PARTS, n=1):
            raise UserError(f"{path}: `{key}` is no part of a split. Did you mean {near[0]}?")
    for key in lists.keys() & set(PARTS):
        if not all(isinstance(name, str) for name in lists[key]):
            raise UserError(f"{path}: `{key}` has entries that are no text; expected case names")
    return lists
