"""NIfTI files in and out."""

import zlib
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from monai.data import MetaTensor, NibabelReader
from monai.transforms import EnsureChannelFirst
from nibabel.filebasedimages import ImageFileError

from trainers.errors import UserError

UNREADABLE = (ImageFileError, RuntimeError, OSError, EOFError, ValueError, zlib.error)
"""What nibabel, and MONAI around it, raise for files that are damaged or something else."""


def open_nifti(path: Path) -> nib.Nifti1Image:
    """The header and affine of a NIfTI-1 or -2 file; voxels are read later. Raises UserError."""
    try:
        volume = nib.load(path)
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read; expected a NIfTI volume") from error
    if not isinstance(volume, nib.Nifti1Image):
        raise UserError(f"{path} is a {type(volume).__name__}; expected a NIfTI volume")
    return volume


def load_volume(path: Path) -> MetaTensor:
    """(C, D, H, W) float32 in the file's own orientation, of a file with 3 axes, or 4 with the
    channels last. Raises UserError."""
    reader = NibabelReader()  # MONAI's LoadImage would make all of its readers, with their warnings
    try:
        values, meta = reader.get_data(reader.read(path))
        volume = MetaTensor.ensure_torch_and_prune_meta(values.astype(np.float32), meta)
        volume = cast(MetaTensor, EnsureChannelFirst()(volume))
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read; expected a NIfTI volume") from error
    if volume.ndim != 4:
        raise UserError(
            f"{path} has {values.ndim} axes; expected 3, or 4 with the channels as the last"
        )
    return volume


def save_segmentation(labels: np.ndarray, like: Path, to: Path) -> None:
    """Write (D, H, W) labels as uint8 NIfTI with the affine of the image `like`."""
    source = open_nifti(like)
    if labels.shape != source.shape[:3]:
        raise ValueError(f"labels are {labels.shape}, {like.name} is {source.shape[:3]}")
    segmentation = nib.Nifti1Image(labels.astype(np.uint8), source.affine, source.header)
    segmentation.set_data_dtype(np.uint8)
    to.parent.mkdir(parents=True, exist_ok=True)
    nib.save(segmentation, to)
