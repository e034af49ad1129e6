"""Whether one exported network can teach another."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.export.export_folder import Export
from trainers.errors import UserError


def open_teacher(folder: Path, student: Export) -> Export:
    """Open the export in `folder`, from which `student` is to be distilled.

    Its network teaches, or the ensemble of its folds. Raises UserError where it has other input
    channels than the student, or in another order, or other classes, was trained on volumes that
    were prepared in another way, or cannot take the student's patch.
    """
    teacher = Export(folder)
    ours, theirs = student.config, teacher.config
    for what, here, there in (
        ("channels", ours.task.channels, theirs.task.channels),
        ("classes", list(ours.task.classes), list(theirs.task.classes)),
        ("regions", list(map(str, ours.task.regions)), list(map(str, theirs.task.regions))),
        ("spacing in mm", ours.task.spacing, theirs.task.spacing),
        ("preprocessing", ours.data.preprocess, theirs.data.preprocess),
    ):
        if here != there:
            raise UserError(
                f"--teacher {folder}: its {what}: {there}; expected those of {student.folder}: "
                f"{here}. A teacher sees the same patches and says the same classes"
            )
    own, its = ours.task.modalities, theirs.task.modalities
    if own != its and sorted(own) == sorted(its):  # other names are a matter of taste
        raise UserError(
            f"--teacher {folder}: its modalities: {', '.join(its)}; expected those of "
            f"{student.folder} in their order: {', '.join(own)}"
        )
    _try(teacher, ours.train.patch, student)
    return teacher


def _try(teacher: Export, patch: tuple[int, int, int], student: Export) -> None:
    """Raise UserError unless the teacher's network takes a patch of zeros."""
    network = teacher.network()
    device = next(network.parameters()).device
    zeros = torch.zeros(1, teacher.config.task.channels, *patch, device=device)
    try:
        with torch.inference_mode():
            network(zeros)
    except ValueError as error:
        raise UserError(
            f"--teacher {teacher.folder}: it cannot take the patch of {student.folder}: {error}; "
            "set train.patch"
        ) from error
