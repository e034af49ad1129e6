"""Phantoms as a source of data: a data set that needs no download."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from trainers.atomic import make_folder
from trainers.data.config import Positive, Preprocess
from trainers.data.dataset import Dataset
from trainers.data.msd import read_msd
from trainers.data.source import About, SourceConfig

Size = Annotated[int, Field(ge=16)]


class PhantomData(SourceConfig):
    """Generated CT-like volumes, made in the run's folder unless they are there.

    `spacing` in mm, `noise` its standard deviation in HU.
    """

    source: Literal["phantom"] = "phantom"
    preprocess: Preprocess = Preprocess(spacing="native", crop="none", intensity="ct")
    cases: Annotated[int, Field(ge=2)] = 24
    shape: tuple[Size, Size, Size] = (48, 48, 48)
    spacing: tuple[Positive, Positive, Positive] = (1.5, 1.5, 1.5)
    organs: Annotated[int, Field(ge=3, le=6)] = 4
    noise: Annotated[float, Field(ge=0)] = 20.0
    seed: Annotated[int, Field(ge=0)] = 0

    def open(self, workdir: Path) -> Dataset:
        """The phantoms in a folder of `workdir`, one for each set of them."""
        from trainers.data.phantom import make_phantom

        own = self.model_dump_json(exclude=set(SourceConfig.model_fields))
        key = hashlib.sha256(own.encode()).hexdigest()[:16]
        return read_msd(make_folder(workdir / "phantom" / key, partial(make_phantom, self)))

    def about(self) -> About:
        return About("phantoms that segnas generated; no patient's data")
