"""How intensities are normalised, by modality."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from trainers.data.check.facts import CaseFacts
from trainers.data.check.parts import hounsfield

NO_CT = re.compile(r"(?<![a-z])non?[-_ ]?ct(?![a-z])", re.IGNORECASE)  # nnU-Net's nonCT
NOT_CT = re.compile(r"(?<![a-z])(mri?|t1|t2|flair|pet|dwi|adc|us|ultrasound)", re.IGNORECASE)
CT = re.compile(r"(?<![a-z])(cb)?cta?(?![a-z])", re.IGNORECASE)
ROUNDED = 5.0  # HU, of a window


def is_ct(modality: str, channel: int, cases: Sequence[CaseFacts]) -> bool:
    """Whether the name says so; where it says nothing, whether the values are Hounsfield units."""
    if NO_CT.search(modality):
        return False
    if CT.search(modality):
        return True
    if NOT_CT.match(modality):
        return False
    return hounsfield(cases, channel)


def ct_window(foreground: np.ndarray) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of the labelled voxels (n,), HU, rounded outwards.

    nnU-Net clips CT there (Isensee et al. 2021, Supplementary Note 2).
    """
    low, high = np.percentile(foreground, (0.5, 99.5))
    low, high = np.floor(low / ROUNDED) * ROUNDED, np.ceil(high / ROUNDED) * ROUNDED
    return float(low), float(max(high, low + ROUNDED))
