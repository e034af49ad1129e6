"""Intensities of labelled voxels, sampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainers.data.check.facts import Progress
from trainers.data.source import Case
from trainers.volumes.nifti import (
    channels_first,
    load_labels,
    mended_before,
    open_volume,
    read_values,
)

CASES = 30  # at most, evenly chosen
VOXELS = 10_000  # of a case


def sample_foreground(
    cases: Sequence[Case], progress: Progress, ignore: int | None = None
) -> np.ndarray:
    """(n, C) intensities of labelled voxels, as many of each case, which has some.

    `ignore`: the label of voxels that do not count. The same cases give the same.
    """
    chosen = [cases[int(i)] for i in np.linspace(0, len(cases) - 1, min(CASES, len(cases)))]
    random = np.random.default_rng(0)
    values = []
    with mended_before():
        for done, case in enumerate(chosen, start=1):
            labels = load_labels(case.label).reshape(-1)
            if ignore is not None:
                labels[labels == ignore] = 0
            inside = np.flatnonzero(labels)
            places = random.choice(inside, VOXELS)
            image = channels_first(read_values(open_volume(case.image)))
            values.append(image.reshape(len(image), -1)[:, places].T)
            progress(done, len(chosen), "windows looked at")
    return np.concatenate(values)
