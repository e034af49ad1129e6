"""Where labelled cases come from, and how a source of them is configured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pydantic import Field

from trainers.data.config import Preprocess, SharesOrFile, Split
from trainers.data.targets import Label
from trainers.strict import Strict
from trainers.volumes.files import Image
from trainers.volumes.targets import Targets


@dataclass(frozen=True)
class Case:
    """One image and its label map; `check_dataset` tells where a file is missing.

    `image`: a file, or several whose channels follow each other. `group`: what cases share that
    stay together in a split, such as a patient; None where that is not known. `parts`: training,
    validation or test, or nothing, as the data say, once for each of their splits.
    """

    name: str
    image: Image
    label: Path
    group: str | None = None
    parts: tuple[str, ...] = ()


class DataSource(Protocol):
    """Labelled cases, ready to be checked and prepared. `Dataset` is one for files in folders.

    `folder`: where the cases lie, for messages. `modalities`: one name for each channel of an
    image. `classes`: one name for each value of a label map, `classes[0]` the background.
    `targets`: what networks learn of them, with the same classes. `cases`: sorted by name, no name
    twice. `described_by`: what says which cases, modalities and classes there are, for messages: a
    file's name, such as `dataset.json`.
    """

    @property
    def folder(self) -> Path: ...

    @property
    def modalities(self) -> tuple[str, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def cases(self) -> tuple[Case, ...]: ...

    @property
    def described_by(self) -> str: ...

    def fingerprint(self, preprocess: Preprocess) -> str:
        """Names the prepared volumes: another one for other settings, classes or files."""


@dataclass(frozen=True)
class About:
    """What a model card says of the data; empty where it is not known."""

    name: str
    description: str = ""
    reference: str = ""
    licence: str = ""


class SourceConfig(Strict, ABC):
    """The `data` of a run. A source adds keys of its own, and sets `source` to its name:
    `source: Literal["csv"] = "csv"`.

    `split`: shares, `fold` of the split that the data bring, or the path of a JSON file with the
    lists training, validation and test.
    `cache`: where prepared volumes are kept; by default in the run's folder.
    `regions`: what is learnt in place of the classes, unions of label values that may overlap:
    `{WT: [1, 2, 3], TC: [2, 3], ET: [3]}`, in values or names of classes. In a label map a voxel
    has the value of the last region that it is in: that of `regions_class_order`, else the one
    label that no later region has. `ignore`: the value, or the name of the last class, of voxels
    that count nowhere.
    """

    source: str
    preprocess: Preprocess = Preprocess()
    split: SharesOrFile = Split()
    cache: Path | None = None
    # Left out where they are not set: what was written before these keys is read so.
    regions: dict[str, tuple[Label, ...]] = Field(
        default_factory=dict, exclude_if=lambda regions: not regions
    )
    regions_class_order: tuple[Label, ...] = Field(default=(), exclude_if=lambda order: not order)
    ignore: Label | None = Field(default=None, exclude_if=lambda value: value is None)

    def cache_folder(self, workdir: Path) -> Path:
        """Where prepared volumes are kept, for a run in `workdir`."""
        return self.cache or workdir / "cache"

    @abstractmethod
    def open(self, workdir: Path) -> DataSource:
        """List the cases. `workdir` is for files that have to be made first, such as a download.

        Raises UserError where there are no data, or they cannot be understood.
        """

    def portable(self) -> Self:
        """The same data from any working directory: paths are absolute.

        To be overridden where paths lie deeper than in the configuration's own fields.
        """
        paths = {name: value.resolve() for name, value in self if isinstance(value, Path)}
        return self.model_copy(update=paths)

    def about(self) -> About:
        """What the data say of themselves, also where they are not at hand any more."""
        return About(self.source)
