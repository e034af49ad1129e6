"""Which cases an export's weights know: Dice on them is better than on new ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from nas.export.export_folder import CONFIG, FOLDS, FOLDS_RECORD, Export
from trainers.read_json import read_json

LEARNT = "learnt"  # in the record of a teacher or an original: its training cases


@dataclass(frozen=True)
class LearntCases:
    """Names of cases. `training`: the weights learnt them. `validation`: others, by which the
    network or its weights were chosen."""

    training: frozenset[str] = frozenset()
    validation: frozenset[str] = frozenset()

    def among(self, names: Collection[str]) -> LearntCases:
        """Those of `names`."""
        return LearntCases(self.training & set(names), self.validation & set(names))


def learnt_cases(export: Export, first: bool = False) -> LearntCases:
    """As the split file says, the record of the last retraining, and those of what the weights were
    made from or taught by. `first`: of the networks of folds the first one alone, which has not
    seen its own part."""
    parts, others = _split_lists(export), _of_others(export)
    train = set(parts.get("training") or parts.get("train") or ())
    validation = set(parts.get("validation", ()))
    if export.weights.name == FOLDS:
        folds = read_json(export.weights / FOLDS_RECORD)["folds"]
        validation |= {name for fold in folds for name in fold["validation"]}
        unseen = set(folds[0]["validation"]) - others if first else set()
        return _told((train | validation | others) - unseen, unseen)
    if "training" in export.retrained:
        train = set(export.retrained["training"])
        validation |= set(export.retrained.get("validation", ()))
    train |= others
    return _told(train | validation if export.saw_validation else train, validation)


def _of_others(export: Export) -> set[str]:
    """The cases that the teacher learnt, and those of the original of a network that was made
    smaller, unless it began anew."""
    again = export.retrained
    sources = [again.get("teacher") or {}]
    if again.get("from") != "scratch":
        sources.append(export.compression.get("original", {}))
    return {name for source in sources for name in source.get(LEARNT, ())}


def has_learnt(export: Export, names: Collection[str]) -> bool:
    """Whether the weights learnt any of these cases, by which others are to be chosen, or were made
    from or taught by some that learnt cases to choose by."""
    return export.saw_validation or not learnt_cases(export).training.isdisjoint(names)


def learnt_by(folders: Iterable[Path]) -> LearntCases | None:
    """What any of these folders' networks learnt. None where all are deployed: such a folder does
    not tell."""
    learnt = [learnt_cases(Export(folder)) for folder in folders if (folder / CONFIG).is_file()]
    if not learnt:
        return None
    train, validation = (
        set[str]().union(*(getattr(one, part) for one in learnt))
        for part in ("training", "validation")
    )
    return _told(train, validation)


def has_test_part(export: Export) -> bool:
    """Whether the split file set cases aside that no training has seen."""
    return bool(_split_lists(export).get("test"))


def _told(train: set[str], validation: set[str]) -> LearntCases:
    return LearntCases(frozenset(train), frozenset(validation - train))


def _split_lists(export: Export) -> dict[str, list[str]]:
    """By part; nothing where the split is no file, or gone."""
    split = export.config.data.split
    if not isinstance(split, Path) or not split.exists():
        return {}
    parts = read_json(split)
    return parts if isinstance(parts, dict) else {}
