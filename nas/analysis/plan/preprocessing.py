"""How volumes are prepared: spacing, border, intensities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.foreground import sample_foreground
from nas.analysis.plan.intensity import ct_window, is_ct
from nas.analysis.plan.spacing import choose_spacing
from trainers.data.check.facts import Progress
from trainers.data.config import Preprocess
from trainers.data.splits import Cases

ROBUST = "z-score within the body of each volume, deaf to odd voxels"
WINDOW = "0.5th to 99.5th percentile of labelled voxels of training cases"


@dataclass(frozen=True)
class Preprocessing:
    """The settings, and reasons by key."""

    value: Preprocess
    whys: Mapping[str, str]


def choose_preprocessing(survey: DataSurvey, cases: Cases, progress: Progress) -> Preprocessing:
    """Spacing by the volumes, intensities by modality; a window by the training cases' labels."""
    spacing = choose_spacing(survey.spacings, survey.shapes)
    whys = {
        "orientation": "axes to the right, to the front and up",
        "spacing": spacing.why,
        "resampling": "cubic; from slice to slice of thick ones the nearest, as in nnU-Net",
        "crop": "removes the empty border",
    }
    told = ", ".join(survey.source.modalities)
    windows = _windows(survey, cases, progress)
    values: dict[str, Any] = {"spacing": spacing.value}
    if not windows:
        whys["intensity"] = f"{told}: {ROBUST}"
    elif len(survey.source.modalities) == 1:
        [values["window"]] = windows.values()
        values["intensity"] = "ct"
        whys["intensity"] = f"{told}: a window of Hounsfield units, to [0, 1]"
        whys["window"] = f"{WINDOW}, as nnU-Net"
    else:
        values["intensity"] = {
            name: {"kind": "ct", "window": windows[name]} if name in windows else "robust"
            for name in survey.source.modalities
        }
        whys["intensity"] = f"windows of Hounsfield units, to [0, 1]: {WINDOW}; others: {ROBUST}"
    return Preprocessing(Preprocess.model_validate(values), whys)


def _windows(
    survey: DataSurvey, cases: Cases, progress: Progress
) -> dict[str, tuple[float, float]]:
    """Of each modality that is CT."""
    ct = {
        name: channel
        for channel, name in enumerate(survey.source.modalities)
        if is_ct(name, channel, survey.cases)
    }
    if not ct:
        return {}
    labelled = {case.name for case in survey.cases if any(case.voxels[1:])}
    names = labelled & set(cases.train) or labelled
    chosen = [case for case in survey.source.cases if case.name in names]
    foreground = sample_foreground(chosen, progress, survey.source.targets.ignore)
    return {name: ct_window(foreground[:, channel]) for name, channel in ct.items()}
