"""Whether one exported network can teach another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from nas.export.export_folder import Export
from trainers.errors import UserError


def open_teacher(folder: Path, student: Export) -> Export:
    """The export that teaches `student`: its network, or its folds' ensemble.

    Raises UserError where it reads other channels, says other classes, was trained on volumes
    prepared in another way, or cannot take the student's patch.
    """
    teacher = Export(folder)
    ours, theirs = student.config, teacher.config
    for what, here, there in (
        ("channels", ours.task.channels, theirs.task.channels),
        ("classes", list(ours.task.classes), list(theirs.task.classes)),
        ("spacing in mm", ours.task.spacing, theirs.task.spacing),
        ("preprocessing", ours.data.preprocess, theirs.data.preprocess),
    ):
        if here != there:
            raise UserError(
                f"--teacher {folder}: its {what}: {there}; expected those of {student.folder}: "
                f"{here}. A teacher sees the same patches and says the same classes"
            )
    _try(teacher, ours.train.patch, student)
    return teacher


def fingerprint(teacher: Export) -> str:
    """Of the teacher's weights: a training does not go on with another teacher."""
    digest = hashlib.sha256()
    for file in teacher.weights_files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:10]


def _try(teacher: Export, patch: tuple[int, int, int], student: Export) -> None:
    """One pass over zeros."""
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
