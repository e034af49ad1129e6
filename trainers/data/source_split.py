"""Which cases of a source train, choose and test: as the configuration says, or the data do."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainers.data.config import OwnSplit, Split
from trainers.data.source import Case, DataSource
from trainers.data.splits import Cases, group_names, group_of, split_cases
from trainers.errors import UserError, listed

SHOWN = 3  # groups, or cases


def split_source(source: DataSource, split: Split | OwnSplit | Path) -> Cases:
    """The cases of each part. Raises UserError as `split_cases` does, and for a fold that the data
    do not have.

    Where the data name a test but no validation, a fifth of their training cases validates. Warns
    of cases that the data or a file put in no part, and of groups that they do not keep together.
    """
    names, groups = [case.name for case in source.cases], groups_of(source.cases)
    if isinstance(split, Split):
        return split_cases(names, split, groups)
    if isinstance(split, Path):
        cases = split_cases(names, split, groups)
        _warn_of_parts(source, cases, f"{split}: the data of {source.folder} have")
        return cases
    if split.groups:
        groups = {name: group_of(name, split.groups) for name in names}
    count = own_splits(source.cases)
    if not count and split.fold is None:
        return split_cases(names, Split(), groups)
    if (fold := split.fold or 0) >= count:
        there = f"folds 0 to {count - 1}" if count else "no split; set shares or a file"
        raise UserError(f"data.split.fold = {fold}, but {source.described_by} has {there}")
    cases = _own_split(source, fold, groups)
    _warn_of_parts(source, cases, f"{source.folder}: {source.described_by} has")
    return cases


def own_splits(cases: Sequence[Case]) -> int:
    """How many splits the data bring."""
    return max((len(case.parts) for case in cases), default=0)


def groups_of(cases: Sequence[Case]) -> Mapping[str, str] | None:
    """Case -> its group, which is its own where none is said; None where no case has one."""
    if all(case.group is None for case in cases):
        return None
    return {case.name: case.group or case.name for case in cases}


def patients(source: DataSource, split: Split | OwnSplit | Path) -> list[list[str]] | None:
    """The cases of each patient, as the split or the data say; None where neither does."""
    groups = (None if isinstance(split, Path) else split.groups) or groups_of(source.cases)
    return group_names([case.name for case in source.cases], groups) if groups else None


def _own_split(source: DataSource, fold: int, groups: Mapping[str, str] | None) -> Cases:
    parts: dict[str, list[str]] = defaultdict(list)
    for case in source.cases:
        parts[case.parts[fold] if fold < len(case.parts) else ""].append(case.name)
    if not parts["training"]:
        raise UserError(
            f"{source.folder}: {source.described_by} has no training case; expected one"
        )
    train, validation = parts["training"], parts["validation"]
    if not validation:
        drawn = split_cases(train, Split(), groups)
        train, validation = list(drawn.train), list(drawn.validation)
    return Cases(tuple(train), tuple(validation), tuple(parts["test"]), groups)


def _warn_of_parts(source: DataSource, cases: Cases, there: str) -> None:
    """`there`: how a message begins, before what it lists."""
    parts: dict[str, set[str]] = defaultdict(set)
    for part, names in cases.parts.items():
        for name in names:
            parts[name].add(part)
    if left_out := sorted({case.name for case in source.cases} - {*parts}):
        told = f"{there} {listed(left_out, SHOWN)} in no part of the split: left out"
        warnings.warn(told, stacklevel=3)
    of_groups: dict[str, set[str]] = defaultdict(set)
    for name, group in (cases.groups or {}).items():
        of_groups[group] |= parts[name]
    if apart := sorted(group for group, found in of_groups.items() if len(found) > 1):
        told = f"{there} {listed(apart, SHOWN)} in several parts: scores will be too good where "
        warnings.warn(f"{told}they are one patient's", stacklevel=3)
