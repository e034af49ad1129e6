"""What a plan knows of the data: every case, read once by the check."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.data.build_cache import unfinished
from trainers.data.check import examine
from trainers.data.check.facts import CaseFacts, Progress
from trainers.data.check.finding import refuse
from trainers.data.check.parts import check_parts
from trainers.data.config import Preprocess
from trainers.data.open_source import open_source
from trainers.data.source import DataSource, SourceConfig
from trainers.errors import UserError

Sizes = tuple[float, float, float]


@dataclass(frozen=True)
class DataSurvey:
    """All cases, their axes turned to right, front and up. `doubts`: how many there are of them."""

    source: DataSource
    cases: Sequence[CaseFacts]
    doubts: int = 0

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
    """Read every case, or what an earlier survey for the same folder of a search kept.

    Raises UserError for data that a search would refuse.
    """
    source = open_source(config, workdir)
    kept = unfinished(source, config.preprocess, config.cache_folder(workdir))
    check = examine(source, progress, config.preprocess.affine, finished=kept)
    findings = [*check.findings, *check_parts(check.cases, source.targets)]
    try:
        refuse(findings, source)
    except UserError:
        shutil.rmtree(kept)  # its files will be mended
        raise
    return DataSurvey(source, check.cases, len(findings))


def hand_over(
    source: DataSource, config: SourceConfig, preprocess: Preprocess, workdir: Path
) -> None:
    """Give what the survey kept to the search that will prepare the cases as `preprocess` says."""
    kept, wanted = (
        unfinished(source, each, config.cache_folder(workdir))
        for each in (config.preprocess, preprocess)
    )
    shutil.copytree(kept, wanted, dirs_exist_ok=True)
