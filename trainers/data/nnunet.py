"""Raw folders of nnU-Net, version 2: a file for each channel of a case."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from os.path import expandvars
from pathlib import Path
from typing import Literal

from trainers.data.config import OwnSplit, SharesOrFile
from trainers.data.dataset import Dataset
from trainers.data.msd_descriptor import DESCRIPTOR, about_json
from trainers.data.nnunet_descriptor import (
    SHOWN,
    NnunetDescriptor,
    read_nnunet_descriptor,
    read_splits,
)
from trainers.data.source import About, Case, SourceConfig
from trainers.data.volume_folder import MOST_NAMED
from trainers.errors import UserError, listed
from trainers.volumes.files import (
    CHANNEL,
    PICTURES,
    Image,
    has_ending,
    one_or_all,
    voxel_files,
)

IMAGES, LABELS = "imagesTr", "labelsTr"


class NnunetData(SourceConfig):
    """A raw folder of nnU-Net: `path` holds dataset.json.

    Its splits_final.json, where there is one, is the split unless `split` says otherwise; `split:
    {fold: 2}` takes the third fold.
    """

    source: Literal["nnunet"] = "nnunet"
    path: Path
    split: SharesOrFile = OwnSplit()

    def open(self, workdir: Path) -> Dataset:
        """The data set in `path`; nothing is made in `workdir`."""
        return read_nnunet(self.path)

    def about(self) -> About:
        """What dataset.json says; the folder's name where it is not at hand any more."""
        return about_json(self.path / DESCRIPTOR, self.path.name)


def read_nnunet(path: Path) -> Dataset:
    """The data set in `path`: dataset.json, imagesTr/CASE_0000.nii.gz and labelsTr/CASE.nii.gz.

    A case whose image, one of whose channels, or whose label is missing is a case too, for
    `check_dataset` to refuse. Raises UserError where the folder or dataset.json cannot be
    understood. Warns of files that are left out, and of another number of cases than is said.
    """
    descriptor = read_nnunet_descriptor(path)
    files = _listed_files(path, descriptor) or _found_files(path, descriptor)
    folds = read_splits(path, files)
    cases = tuple(
        Case(name, image, label, parts=tuple(fold.get(name, "") for fold in folds))
        for name, (image, label) in sorted(files.items())
    )
    if not cases:
        raise UserError(f"{path}: imagesTr has no {descriptor.ending} file; expected images there")
    if (said := descriptor.num_training) not in (None, len(cases)):
        told = f"{path}: dataset.json says numTraining {said}, there are {len(cases)}"
        warnings.warn(told, stacklevel=2)
    return Dataset.of(path, descriptor.modalities, descriptor.targets, cases)


def _listed_files(path: Path, descriptor: NnunetDescriptor) -> Mapping[str, tuple[Image, Path]]:
    """Case -> image and label, where dataset.json lists them, with variables such as
    $nnUNet_raw."""
    return {
        name: (
            one_or_all(path / expandvars(image) for image in files.images),
            path / expandvars(files.label),
        )
        for name, files in (descriptor.files or {}).items()
    }


def _found_files(path: Path, descriptor: NnunetDescriptor) -> Mapping[str, tuple[Image, Path]]:
    """Case -> image and label, by the names of the files in imagesTr and labelsTr."""
    names, labels = (_by_name(path / part, descriptor.ending) for part in (IMAGES, LABELS))
    channels = _by_channel(path, names, descriptor)
    count = len(descriptor.modalities)
    first_alone = all(of_case.keys() == {0} for of_case in channels.values())
    if first_alone and has_ending(Path(descriptor.ending), PICTURES):
        count = 1  # one picture has all colours
    return {
        case: (
            one_or_all(
                channels.get(case, {}).get(number) or _file(path / IMAGES, case, number, descriptor)
                for number in range(count)
            ),
            labels.get(case) or path / LABELS / f"{case}{descriptor.ending}",
        )
        for case in {*channels, *labels}
    }


def _file(folder: Path, case: str, channel: int, descriptor: NnunetDescriptor) -> Path:
    return folder / f"{case}_{channel:04}{descriptor.ending}"


def _by_name(folder: Path, ending: str) -> dict[str, Path]:
    """Name without the ending -> file. Warns of others."""
    if not folder.is_dir():
        what = "no folder" if folder.exists() else "missing"
        raise UserError(f"{folder} is {what}; expected a folder of {ending} files")
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".")]
    volumes = [file for file in files if has_ending(file, (ending.lower(),))]
    read = {*volumes, *(other for volume in volumes for other in voxel_files(volume))}
    if others := [file.name for file in files if file not in read]:
        named = listed(others, MOST_NAMED)
        warnings.warn(f"{folder}: ignored {named} (no {ending} file)", stacklevel=4)
    return {file.name[: -len(ending)]: file for file in volumes}


def _by_channel(
    path: Path, names: Mapping[str, Path], descriptor: NnunetDescriptor
) -> dict[str, dict[int, Path]]:
    """Case -> channel -> file. Raises UserError for names without a channel that there is."""
    cases: dict[str, dict[int, Path]] = {}
    odd: list[str] = []
    for name, file in names.items():
        found = CHANNEL.fullmatch(name)
        if found is None or int(found[2]) >= len(descriptor.modalities):
            odd.append(file.name)
        else:
            cases.setdefault(found[1], {})[int(found[2])] = file
    if odd:
        raise UserError(_told_of_names(path, odd, descriptor.modalities, descriptor.ending))
    return cases


def _told_of_names(path: Path, odd: Sequence[str], modalities: Sequence[str], ending: str) -> str:
    last = len(modalities) - 1
    numbers = "_0000" if last == 0 else f"_0000 to _{last:04}"
    return (
        f"{path / IMAGES}: {listed(odd, SHOWN)} without the number of a channel that dataset.json "
        f"names; expected {numbers} before {ending}, a file for each channel of a case"
    )
