"""What a plan knows of the data: every case, read once by the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.data.check.facts import CaseFacts, Progress
from trainers.data.check.finding import refuse
from trainers.data.check.kept import keep_check
from trainers.data.check.parts import check_parts
from trainers.data.prepare import open_source
from trainers.data.source import DataSource, SourceConfig

Sizes = tuple[float, float, float]


@dataclass(frozen=True)
class DataSurvey:
    """All cases, their axes turned to right, front and up."""

    source: DataSource
    cases: Sequence[CaseFacts]

    @property
    def names(self) -> list[str]:
        """Of the cases, sorted."""
        return [case.name for case in self.cases]

    @property
    def shapes(self) -> np.ndarray:
        """(cases, 3) voxels."""
        return np.array([case.shape for case in self.cases], dtype=float)

    @property
    def spacings(self) -> np.ndarray:
        """(cases, 3) mm."""
        return np.array([case.voxel_size for case in self.cases])

    @property
    def voxels(self) -> int:
        """Of all cases together."""
        return int(self.shapes.prod(axis=1).sum())


def survey_data(config: SourceConfig, workdir: Path, progress: Progress) -> DataSurvey:
    """Read every case, or what is kept of an earlier reading in the folder of a search.

    Raises UserError for data that a search would refuse.
    """
    source = open_source(config, workdir)
    rule = config.preprocess.affine
    check = keep_check(source, config.cache or workdir / "cache", progress, rule)
    refuse([*check.findings, *check_parts(check.cases, source.classes)], source)
    return DataSurvey(source, check.cases)
