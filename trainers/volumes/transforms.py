"""From file to file as transforms of a dictionary, for the configuration of a MONAI Bundle.

A case is a dictionary, as in MONAI: `image` is the file, then the tensor; `pred` the labels. `file`
and `prepared` lead from one to the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .errors import DoubtWarning, UserError
from .files import case_name, files_of, images_of, one_or_all, output_name, volumes_among
from .geometry import Spacing3
from .nifti import channels, open_volume, save_segmentation, with_affine
from .preprocess import prepare_image
from .segment import segment
from .settings import Settings
from .steps import Postprocess
from .targets import Targets
from .units import doubts_of_units
from .windows import SlabInferer

Case = dict[str, Any]


def find_images(folder: str, channels: int = 1) -> list[Case]:
    """A case for each image of a folder, hidden ones apart, in order of name.

    channels: that the network reads; of several each may be a file, see `images_of`. Raises
    UserError where there is no image, one lacks a channel, or what is made of two would have one
    name.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{folder} is no folder; expected one of NIfTI images")
    files = volumes_among(sorted(Path(folder).iterdir()))
    if not files:
        raise UserError(f"{folder} has no .nii or .nii.gz file; expected images to segment")
    name_of = output_name if channels == 1 else case_name
    named: dict[str, Path] = {}
    for file in files:
        if (twin := named.setdefault(name_of(file), file)) != file:
            raise UserError(f"{folder} has both {twin.name} and {file.name}; remove one")
    if channels == 1:
        return [{"image": str(file)} for file in files]
    images = images_of(named, channels, Path(folder)).values()
    return [{"image": list(map(str, files_of(image)))} for image in images]


@dataclass(frozen=True, kw_only=True)
class PrepareImaged(Settings):
    """`image`: a file, or a list of them -> the network's input (C, D, H, W), with its affine.

    `spacing`: in mm or None. `lowest`: as `doubts_of_units` has what was learnt; warns of what it
    says. Raises UserError as `prepare_image` does, and for an image that has not as many `channels`
    as the network reads.
    """

    spacing: Spacing3 | None
    channels: int
    lowest: Sequence[float | None] = ()

    def __call__(self, case: Case) -> Case:
        given = case["image"]
        file = one_or_all(map(Path, given if isinstance(given, list | tuple) else [given]))
        if (found := channels(open_volume(file))) != self.channels:  # before it is all read
            name = files_of(file)[0]
            raise UserError(f"{name} has {found} channels; the network expects {self.channels}")
        prepared = prepare_image(file, self, self.spacing)
        for told in doubts_of_units(prepared.lowest, self, self.lowest):
            warnings.warn(DoubtWarning(files_of(file)[0], told), stacklevel=2)
        image = with_affine(torch.from_numpy(prepared.image), prepared.grid.affine)
        return {**case, "image": image, "file": file, "prepared": prepared}


@dataclass(frozen=True, kw_only=True)
class SegmentImaged:
    """`pred`: what `network` (eval mode) makes of `image`, as labels (D, H, W) of the file.

    `steps`: what is done with them afterwards. Raises UserError as `segment` does.
    """

    network: nn.Module
    inferer: SlabInferer
    targets: Targets
    steps: Postprocess = field(default_factory=dict)

    def __call__(self, case: Case) -> Case:
        prepared = replace(case["prepared"], image=case["image"].numpy())
        how = self.network, self.inferer, self.targets
        name = str(files_of(case["file"])[0])
        return {**case, "pred": segment(prepared, *how, name=name, steps=self.steps)}


@dataclass(frozen=True)
class SaveLabelsd:
    """Write `pred` to `output_dir` under the (first) file's `output_name`, where its voxels are.

    Raises UserError where that is the file itself.
    """

    output_dir: str

    def __call__(self, case: Case) -> Case:
        file = files_of(case["file"])[0]
        to = Path(self.output_dir, output_name(file))
        if to.resolve() == file.resolve():
            raise UserError(f"{to} is the image itself; give --output_dir another folder")
        save_segmentation(case["pred"], like=file, to=to)
        return case
