"""Volumes in and out: NIfTI files here, all other formats by their readers."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import torch
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import FileBasedImage
from nibabel.fileholders import FileHolder
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from .errors import DoubtWarning, UserError
from .files import ITK, NIFTI, PICTURES, Image, has_ending
from .geometry import read_affine, same_place
from .itk import open_itk, save_itk
from .pictures import open_picture, save_picture
from .readable import check_room, nibabel_logs, readable
from .rows import row_ranges
from .settings import AffineRule

if TYPE_CHECKING:
    from monai.data import MetaTensor

LABEL_TOLERANCE = 1e-3  # of a float label to the class number that it means
MENDED = "has a wrong header, read so"
CHUNK = 2**20  # bytes
GZIP_LIMIT = 1032  # bytes that deflate can make of one
GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
            "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z")  # fmt: skip


def open_volume(image: Image) -> nib.Nifti1Image:
    """The header and affine of a volume, as nibabel has them; voxels are read later.

    A file of any format of `files`, or several files: one image with the channels of each in their
    order. Raises UserError as `open_nifti` does, and where several files have different shapes.
    """
    if isinstance(image, tuple):
        return _side_by_side([open_volume(file) for file in image])
    if has_ending(image, ITK):
        return open_itk(image)
    return open_picture(image) if has_ending(image, PICTURES) else open_nifti(image)


def open_nifti(path: Path) -> nib.Nifti1Image:
    """The header and affine of a NIfTI-1 or -2 file; voxels are read later.

    Raises UserError where it is none, is cut off, or has voxels that are no real numbers. Warns
    where nibabel mends what says where the voxels are: a size of 0 mm becomes 1, a code that is
    none becomes 0.
    """
    with readable(path), nibabel_logs() as logged:
        volume = _load(path)
    if mended := [line for line in logged if line.startswith(("pixdim[1,", "qform", "sform"))]:
        told = DoubtWarning(path, f"{MENDED}: {'; '.join(mended)}")
        warnings.warn(told, stacklevel=1)
    if not isinstance(volume, nib.Nifti1Image):
        raise UserError(f"{path} is a {type(volume).__name__}; expected a NIfTI volume")
    if (kind := volume.get_data_dtype()).kind not in "iuf":
        what = "RGB" if kind.names else "complex" if kind.kind == "c" else kind.name
        raise UserError(f"{path} has {what} voxels; expected one number a voxel and channel")
    _check_size(volume, path)
    return volume


@contextmanager
def mended_before() -> Iterator[None]:
    """A block after a check of the same files: what was mended in a header is not told again."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".* {MENDED}", UserWarning)
        yield


def load_volume(image: Image, rule: AffineRule = "sform") -> MetaTensor:
    """(C, D, H, W) float32 in the file's own orientation with its affine in mm (`read_affine`).

    A file has 3 axes, or 4 with the channels last; further axes of length 1 do not matter. Raises
    UserError for any other file, and as `open_volume` does.
    """
    volume = open_volume(image)
    affine = affine_of(volume, rule)
    *space, numbers = _four_axes(volume)
    with readable(_file(volume)):
        values = np.empty((numbers, *space), np.float32)
    if isinstance(image, tuple):
        first = 0
        for file in image:
            part = load_volume(file, rule).numpy()
            values[first : first + len(part)] = part
            first += len(part)
        return with_affine(torch.from_numpy(values), affine)
    # What is too large is infinite, and refused.
    with readable(image), np.errstate(all="ignore"):
        stored = channels_first(_whole(volume).reshape(*space, numbers))
        for rows in row_ranges(space[2], stored[..., 0].size):  # the file's: its last axis is first
            values[..., rows] = _scaled(stored[..., rows], volume)
    return with_affine(torch.from_numpy(values), affine)


def load_labels(path: Path) -> np.ndarray:
    """(D, H, W) class numbers as the file has them, int64.

    Floats are rounded to the number that they are within 1e-3 of. Raises UserError where one is of
    none, and for more axes.
    """
    values = read_values(open_volume(path))
    if values.ndim != 3:
        raise UserError(f"{path} has {values.ndim} axes; expected 3: a class number a voxel")
    nearest, close = nearest_classes(values)
    if not close.all():
        raise UserError(f"{path} has the labels {digits(values[~close])}; expected whole numbers")
    return nearest.astype(np.int64)


def nearest_classes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class numbers that the values of a label mean, and whether each is close to its own."""
    nearest = np.rint(values) if values.dtype.kind == "f" else values
    with np.errstate(invalid="ignore"):
        return nearest, np.abs(values - nearest) <= LABEL_TOLERANCE


def channels(volume: nib.Nifti1Image) -> int:
    """How many numbers a voxel has, by the header. Raises UserError as `read_values` does."""
    return _four_axes(volume)[3]


def read_values(volume: nib.Nifti1Image) -> np.ndarray:
    """(D, H, W) or (D, H, W, C) numbers, scaled as the header says. Raises UserError."""
    *space, numbers = _four_axes(volume)
    shape = (*space, numbers) if numbers > 1 else tuple(space)
    with readable(_file(volume)), np.errstate(all="ignore"):
        return _scaled(_whole(volume), volume).reshape(shape)


def channels_first(values: np.ndarray) -> np.ndarray:
    """(D, H, W) or (D, H, W, C) -> (C, D, H, W)."""
    return np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0)


def affine_of(volume: nib.Nifti1Image, rule: AffineRule = "sform") -> np.ndarray:
    """The affine in mm (`read_affine`).

    Raises UserError that names the file, also where several files are at different places.
    """
    path = _file(volume)
    with readable(path):
        try:
            affine = read_affine(volume, rule)
        except UserError as error:
            raise UserError(f"{path} has {error}") from None
    voxels = volume.dataobj
    several: Sequence[nib.Nifti1Image] = voxels.volumes if isinstance(voxels, _Channels) else ()
    for other in several[1:]:
        if not same_place(affine, affine_of(other, rule), volume.shape[:3]):
            raise _not_on_one_grid(other, f"at another place than {path.name}")
    return affine


def with_affine(values: torch.Tensor, affine: np.ndarray) -> MetaTensor:
    """A volume (C, D, H, W) and where it is: (4, 4), from voxels to mm."""
    from monai.data import MetaTensor

    return MetaTensor(values, torch.from_numpy(affine))


def digits(values: np.ndarray) -> str:
    """The first five different values with all digits: two that differ read differently."""
    return ", ".join(repr(v.item()).removesuffix(".0") for v in np.unique(values)[:5])


def save_segmentation(labels: np.ndarray, like: Image, to: Path) -> None:
    """Write (D, H, W) labels in their own type where the image `like` is, in the format of `to`.

    The header has no text, no intent and no display range.
    """
    source = open_volume(like)
    if labels.shape != source.shape[:3]:
        raise ValueError(f"labels are {labels.shape}, {_file(source).name} is {source.shape[:3]}")
    to.parent.mkdir(parents=True, exist_ok=True)
    if has_ending(to, ITK):
        save_itk(labels, affine_of(source), to)
    elif has_ending(to, PICTURES):
        save_picture(labels, to)
    else:
        header = placed_header(source, labels.shape, labels.dtype)
        nib.save(type(source)(labels, None, header), to)


def placed_header(
    source: nib.Nifti1Image, shape: Sequence[int], dtype: np.dtype[Any]
) -> nib.Nifti1Header:
    """A header for such voxels that says where they are, as `source` does, and nothing else."""
    header = type(source.header)()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    for name in GEOMETRY:
        header[name] = source.header[name]
    header["pixdim"][:4] = source.header["pixdim"][:4]
    header["xyzt_units"] = source.header["xyzt_units"] & 7  # of time there is none
    return header


class _Channels:
    """The voxels of several volumes, (D, H, W, C), read when they are asked for."""

    is_proxy = True

    def __init__(self, volumes: Sequence[nib.Nifti1Image]) -> None:
        self.volumes = volumes
        self.shape = (*volumes[0].shape[:3], sum(map(channels, volumes)))
        self.ndim = len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = [channels_first(read_values(volume)) for volume in self.volumes]
        return np.moveaxis(np.concatenate(values, dtype=dtype), 0, -1)


def _side_by_side(volumes: Sequence[nib.Nifti1Image]) -> nib.Nifti1Image:
    first = volumes[0]
    space = _four_axes(first)[:3]
    for other in volumes[1:]:
        if (found := _four_axes(other)[:3]) != space:
            shapes = f"{_shape(found)}, {_file(first).name} {_shape(space)}"
            raise _not_on_one_grid(other, shapes)
    return type(first)(_Channels(volumes), first.affine, first.header, file_map=first.file_map)


def _not_on_one_grid(volume: nib.Nifti1Image, how: str) -> UserError:
    return UserError(
        f"{_file(volume)} is {how}; expected the files of one case on one grid: resample them"
    )


def _load(path: Path) -> FileBasedImage:
    of_one_case = (*NIFTI, *(ending.upper() for ending in NIFTI))
    if path.name.endswith(of_one_case) or not has_ending(path, NIFTI):
        return nib.load(path)
    files = {"image": FileHolder(str(path))}  # for a.Nii.gz nibabel opens a.nii.gz
    try:
        return nib.Nifti1Image.from_file_map(files)
    except HeaderDataError:
        return nib.Nifti2Image.from_file_map(files)


def _file(volume: nib.Nifti1Image) -> Path:
    """Of several, the first."""
    return Path(volume.file_map["image"].filename or "the volume")


def _whole(volume: nib.Nifti1Image) -> np.ndarray:
    """All voxels, as the file has them before they are scaled.

    A packed file is read to its end, where its checksum is: nibabel stops before.
    """
    if not isinstance(voxels := volume.dataobj, ArrayProxy):
        return np.asanyarray(voxels)
    if (path := _file(volume)).suffix.lower() != ".gz":
        return np.asanyarray(voxels.get_unscaled())
    with gzip.open(path) as packed:
        layout = voxels.shape, voxels.dtype, voxels.offset
        values = np.asanyarray(ArrayProxy(packed, layout).get_unscaled())
        while packed.read(CHUNK):
            pass
    return values


def _scaled(stored: np.ndarray, volume: nib.Nifti1Image) -> np.ndarray:
    if not isinstance(voxels := volume.dataobj, ArrayProxy):
        return stored
    return np.asanyarray(apply_read_scaling(stored, voxels.slope, voxels.inter))


def _check_size(volume: nib.Nifti1Image, path: Path) -> None:
    """A damaged header can ask for more memory than there is, and would be given it."""
    wanted = float(np.prod(volume.shape, dtype=float)) * volume.get_data_dtype().itemsize
    packed = path.stat().st_size * (GZIP_LIMIT if path.suffix.lower() == ".gz" else 1)
    if wanted > packed:
        raise UserError(
            f"{path} cannot be read: truncated, its header has {wanted / 1e6:,.1f} MB of voxels"
        )
    check_room(4 * float(np.prod(volume.shape, dtype=float)), f"{path} is {_shape(volume.shape)}")


def _four_axes(volume: nib.Nifti1Image) -> tuple[int, int, int, int]:
    """(D, H, W, C); further axes of length 1 do not matter."""
    shape = volume.shape
    if len(shape) < 3 or 0 in shape or any(n > 1 for n in shape[4:]):
        raise UserError(
            f"{_file(volume)} has {len(shape)} axes ({_shape(shape)}); "
            "expected 3, or 4 with the channels as the last"
        )
    d, h, w, c = (*shape, 1)[:4]
    return d, h, w, c


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
