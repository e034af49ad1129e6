"""Which cases a network is explained on: with labels where there are some, and none it learnt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas.export.export_folder import CONFIG, Export
from nas.export.learnt_cases import learnt_cases
from trainers.counted import counted
from trainers.data.config import Groups
from trainers.data.dataset import Dataset
from trainers.data.folder_source import is_data, source_of
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.data.open_source import open_source
from trainers.data.source import Case
from trainers.data.source_split import groups_of
from trainers.data.splits import group_names
from trainers.data.volume_folder import find_images, find_volumes
from trainers.dicom import has_dicom
from trainers.errors import UserError
from trainers.evaluate import check_outlined
from trainers.volumes.files import Image, volumes_among


@dataclass(frozen=True)
class ExplainedCase:
    """`label`: None where there is none."""

    name: str
    image: Image
    label: Path | None


@dataclass(frozen=True)
class ExplainedCases:
    """`patients`: names of cases that are one patient's; `unit` is `case` where that is not known
    and each stands alone. `left_out`: how many of the data's cases the network was trained on;
    where it was on all, none is left out, and `learnt` says so."""

    cases: tuple[ExplainedCase, ...]
    patients: tuple[tuple[str, ...], ...]
    left_out: int
    learnt: bool
    unit: Literal["patient", "case"]

    def note(self) -> str:
        """What to know of the cases, in words; empty where there is nothing."""
        if self.learnt:
            return "the network was trained on all of these cases: Dice is too good"
        left_out = counted(self.left_out, "case")
        return f"left out: {left_out} that it was trained on" if self.left_out else ""


def find_cases(export: Export, data: Path, labels: Path | None, workdir: Path) -> ExplainedCases:
    """The cases of `data`, but for those that the export was trained on.

    `data`: a folder of images, with their `labels` in another or without, or a data set as `segnas
    check` takes it. `workdir`: for what a source makes. Raises UserError where there is none.
    """
    if (data / CONFIG).is_file():
        raise UserError(f"{data} is an exported network; expected cases to explain the network on")
    task, groups = export.config.task, export.config.groups
    own: Mapping[str, str] | None = None
    learnt = learnt_cases(export, first=True).training  # of folds the first is explained
    if labels is not None or _is_plain(data):
        truths = {} if labels is None else find_volumes(labels)
        images = find_images(data, task.channels, {*truths, *learnt})
        found = [ExplainedCase(name, image, truths.get(name)) for name, image in images.items()]
        if labels is not None and (lacking := [case.name for case in found if case.label is None]):
            raise UserError(f"{labels} has no label of {', '.join(lacking[:5])}; expected them all")
    else:
        try:
            config = source_of(data, workdir, ("background", *task.classes[1:]))
        except UserError as error:
            raise UserError(_no_images(data)) if _holds_nothing(data) else error from error
        if config.source == "dicom":
            check_outlined(data, task)
        source = open_source(config, workdir)
        own = groups_of(source.cases)
        found = [ExplainedCase(case.name, case.image, case.label) for case in source.cases]
    if not found:
        raise UserError(_no_images(data))
    new = [case for case in found if case.name not in learnt]
    chosen = tuple(new or found)
    names = [case.name for case in chosen]
    known = _fitting(groups or own, names)
    patients = tuple(map(tuple, group_names(names, known)))
    unit: Literal["patient", "case"] = "patient" if known else "case"
    return ExplainedCases(chosen, patients, len(found) - len(chosen), not new, unit)


def labelled(cases: Sequence[ExplainedCase], export: Export, data: Path) -> Dataset:
    """The cases with labels, as one data set to check. Raises UserError where one lacks its."""
    task = export.config.task
    found = tuple(Case(c.name, c.image, c.label) for c in cases if c.label is not None)
    if len(found) < len(cases):
        raise UserError(
            f"--ablate compares Dice, and {data} has no labels; name their folder with "
            "--labels, or give a data set with labels"
        )
    modalities = tuple(map(str, range(task.channels)))
    return Dataset(data, modalities, task.classes, found, ignore=task.ignore)


def _fitting(
    groups: Groups | Mapping[str, str] | None, names: Sequence[str]
) -> Groups | Mapping[str, str] | None:
    """None where the groups of the training do not know names of other data."""
    if isinstance(groups, Groups) and not all(re.search(groups.pattern, name) for name in names):
        return None
    return groups


def _no_images(data: Path) -> str:
    return f"{data} has no images; expected cases to explain the network on"


def _holds_nothing(data: Path) -> bool:
    """A folder without folders, lists of cases, DICOM, or anything else that might be data."""
    if not data.is_dir() or has_dicom(data):
        return False
    return not any(one.name == DESCRIPTOR or is_data(one) for one in data.iterdir())


def _is_plain(data: Path) -> bool:
    """A folder with volumes and nothing that describes them."""
    return (
        data.is_dir()
        and not (data / DESCRIPTOR).exists()
        and bool(volumes_among(sorted(data.iterdir())))
    )
