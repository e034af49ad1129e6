"""How volumes are prepared: spacing, border, intensities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.foreground import sample_foreground
from nas.analysis.plan.intensity import ct_window, is_ct
from nas.analysis.plan.spacing import choose_spacing
from trainers.data.check.facts import Progress
from trainers.data.config import Preprocess
from trainers.data.splits import Cases


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
        "crop": "removes the empty border",
    }
    modalities = survey.source.modalities
    ct = [is_ct(name, channel, survey.cases) for channel, name in enumerate(modalities)]
    told = ", ".join(modalities)
    if not all(ct):
        whys["intensity"] = f"{told}: z-score within the body of each volume, deaf to odd voxels"
        return Preprocessing(Preprocess(spacing=spacing.value), whys)
    training = [case for case in survey.source.cases if case.name in cases.train]
    window = ct_window(sample_foreground(training, progress).ravel())
    whys["intensity"] = f"{told}: a window of Hounsfield units, to [0, 1]"
    whys["window"] = "0.5th and 99.5th percentile of labelled voxels of training cases, as nnU-Net"
    chosen = Preprocess(spacing=spacing.value, intensity="ct", window=window)
    return Preprocessing(chosen, whys)
