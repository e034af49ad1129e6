"""A few cases, prepared as the search will prepare all: what is left of them, and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.scratch import scratch_folder
from trainers.data.build_cache import build_cache
from trainers.data.cache import VolumeCache
from trainers.data.check.facts import Progress
from trainers.data.config import Preprocess
from trainers.data.dataset import Dataset
from trainers.data.splits import Cases

CASES = 4


@dataclass(frozen=True)
class Sample:
    """`cache` holds a few prepared cases. `shape`: the median of all cases once they are prepared,
    as far as these tell, in voxels. `seconds`: that preparing all will take."""

    cache: VolumeCache
    shape: tuple[float, float, float]
    seconds: float

    @property
    def cases(self) -> Cases:
        """All of them to train and to validate on: nothing is learnt from them."""
        return Cases(self.cache.names, self.cache.names)


@contextmanager
def prepared_sample(
    survey: DataSurvey, preprocess: Preprocess, workdir: Path, progress: Progress
) -> Iterator[Sample]:
    """Cases evenly chosen by size, in a folder of `workdir` that is removed in the end."""
    sizes = survey.shapes.prod(axis=1)
    order = np.argsort(sizes, kind="stable")
    places = np.linspace(0, len(order) - 1, min(CASES, len(order)) + 2)[1:-1].round().astype(int)
    chosen = sorted({int(order[place]) for place in places})
    names = [survey.cases[index].name for index in chosen]
    source = survey.source
    cases = tuple(case for case in source.cases if case.name in names)
    few = Dataset.like(source, cases)
    with scratch_folder(workdir) as folder:
        started = perf_counter()
        cache = build_cache(few, preprocess, folder, _quiet(progress, len(chosen)))
        seconds = (perf_counter() - started) * sizes.sum() / sizes[chosen].sum()
        kept = [cache.shape(survey.cases[i].name) / survey.shapes[i] for i in chosen]
        x, y, z = np.median(survey.shapes, axis=0) * np.median(kept, axis=0)
        yield Sample(cache, (float(x), float(y), float(z)), float(seconds))


def _quiet(progress: Progress, cases: int) -> Progress:
    """One bar for what is checked, cropped and resampled of the sample."""

    def count(done: int, _: int, what: str) -> None:
        if what == "prepared":
            progress(done, cases, "looked at closely")

    return count
