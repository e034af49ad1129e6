"""A source of data whose cases are files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trainers.data.config import Preprocess
from trainers.data.source import Case, DataSource
from trainers.errors import UserError
from trainers.volumes.files import case_name, files_of, voxel_files
from trainers.volumes.targets import Region, Targets

FORMAT = 2  # of prepared volumes: one more makes all of them anew
LAYOUT = ("imagesTr", "labelsTr")  # of the Decathlon and nnU-Net


@dataclass(frozen=True)
class Dataset:
    """A `DataSource` of files. Raises UserError where two cases have one name.

    `regions`, `ignore`: as in `Targets`.
    """

    folder: Path
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    cases: tuple[Case, ...]
    described_by: str = "dataset.json"
    regions: tuple[Region, ...] = ()
    ignore: int | None = None

    @classmethod
    def like(
        cls, source: DataSource, cases: Sequence[Case], targets: Targets | None = None
    ) -> Dataset:
        """The source with other cases, and other targets where they are given."""
        return cls.of(
            source.folder,
            source.modalities,
            targets or source.targets,
            cases,
            source.described_by,
        )

    @classmethod
    def of(
        cls,
        folder: Path,
        modalities: tuple[str, ...],
        targets: Targets,
        cases: Sequence[Case],
        described_by: str = "dataset.json",
    ) -> Dataset:
        """The cases of which networks learn the `targets`."""
        return cls(
            folder,
            modalities,
            tuple(targets.classes),
            tuple(cases),
            described_by,
            tuple(targets.regions),
            targets.ignore,
        )

    @property
    def targets(self) -> Targets:
        """What networks learn of the cases."""
        return Targets(self.classes, self.regions, self.ignore)

    def __post_init__(self) -> None:
        counts = Counter(case.name for case in self.cases)
        if twice := sorted(name for name, count in counts.items() if count > 1):
            raise UserError(
                f"{self.folder}: {self.described_by} has {', '.join(twice)} more than once; "
                "expected a name of its own for each case"
            )

    def fingerprint(self, preprocess: Preprocess) -> str:
        """Changes with the settings, the classes, regions, what is ignored, any file's name, size
        or time of change, the folder in which it lies where its layout does not say that, and a
        case's name that is not its file's."""
        folder = self.folder.resolve()
        facts = {
            "format": FORMAT,
            "preprocess": preprocess.model_dump(mode="json"),
            "modalities": self.modalities,
            "classes": self.classes,
            "files": [stamp for case in self.cases for stamp in _stamps(case, folder)],
        }
        if not self.targets.plain:  # told only then, so that other data keep their fingerprints
            facts["regions"] = [asdict(region) for region in self.regions]
            facts["ignore"] = self.ignore
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _stamps(case: Case, folder: Path) -> Iterator[tuple[str, int, int] | str]:
    """Of its files, after its name where they do not tell it, and each after its place."""
    own = case_name(files_of(case.image)[0])
    if case.name not in (own, own.removesuffix("_0000")):  # those of nnU-Net
        yield case.name
    for path in _files(case):
        if (place := _place(path, folder)) not in LAYOUT:
            yield place
        yield _stamp(path)


def _place(path: Path, folder: Path) -> str:
    """The folder of a file from the one of the data, so that both may be moved; its name alone
    where it lies elsewhere. `folder`: resolved."""
    place = path.parent.resolve()
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name


def _files(case: Case) -> Iterator[Path]:
    """All that a case is read from."""
    for path in (*files_of(case.image), case.label):
        yield path
        yield from voxel_files(path)


def _stamp(path: Path) -> tuple[str, int, int]:
    """(name, size, time of change in ns); a file that is missing has size -1."""
    if not path.exists():
        return path.name, -1, 0
    status = path.stat()
    return path.name, status.st_size, status.st_mtime_ns
