"""NIfTI files in and out."""

from __future__ import annotations

import gzip
import logging
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import nibabel as nib
import numpy as np
import psutil
import torch
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import FileBasedImage, ImageFileError
from nibabel.fileholders import FileHolder
from nibabel.imageglobals import logger as nibabel_log
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling

from .errors import DoubtWarning, UserError
from .files import ENDINGS, has_ending
from .geometry import read_affine
from .rows import row_ranges
from .settings import AffineRule

if TYPE_CHECKING:
    from monai.data import MetaTensor

UNREADABLE = (ImageFileError, HeaderDataError, RuntimeError, OSError, EOFError, ValueError,
              zlib.error, KeyError, OverflowError)  # fmt: skip
"""What nibabel raises for files that are damaged or something else."""

LABEL_TOLERANCE = 1e-3  # of a float label to the class number that it means
MENDED = "has a wrong header, read so"
CHUNK = 2**20  # bytes
GZIP_LIMIT = 1032  # bytes that deflate can make of one
GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
            "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z")  # fmt: skip


def open_nifti(path: Path) -> nib.Nifti1Image:
    """The header and affine of a NIfTI-1 or -2 file; voxels are read later.

    Raises UserError where it is none, is cut off, or has voxels that are no real numbers. Warns
    where nibabel mends what says where the voxels are: a size of 0 mm becomes 1, a code that is
    none becomes 0.
    """
    with _readable(path), _nibabel_logs() as logged:
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


def load_volume(path: Path, rule: AffineRule = "sform") -> MetaTensor:
    """(C, D, H, W) float32 in the file's own orientation with its affine in mm (`read_affine`).

    The file has 3 axes, or 4 with the channels last; further axes of length 1 do not matter. Raises
    UserError for any other file.
    """
    volume = open_nifti(path)
    *space, numbers = _four_axes(volume, path)
    with _readable(path), np.errstate(all="ignore"):  # what is too large is infinite, and refused
        values = np.empty((numbers, *space), np.float32)
        stored = channels_first(_whole(volume, path).reshape(*space, numbers))
        for rows in row_ranges(space[2], stored[..., 0].size):  # the file's: its last axis is first
            values[..., rows] = _scaled(stored[..., rows], volume)
    return with_affine(torch.from_numpy(values), affine_of(volume, rule))


def load_labels(path: Path) -> np.ndarray:
    """(D, H, W) class numbers as the file has them, int64.

    Floats are rounded to the number that they are within 1e-3 of. Raises UserError where one is of
    none, and for more axes.
    """
    values = read_values(open_nifti(path), path)
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


def channels(volume: nib.Nifti1Image, path: Path) -> int:
    """How many numbers a voxel has, by the header. Raises UserError as `read_values` does."""
    return _four_axes(volume, path)[3]


def read_values(volume: nib.Nifti1Image, path: Path) -> np.ndarray:
    """(D, H, W) or (D, H, W, C) numbers, scaled as the header says. Raises UserError."""
    *space, numbers = _four_axes(volume, path)
    shape = (*space, numbers) if numbers > 1 else tuple(space)
    with _readable(path), np.errstate(all="ignore"):
        return _scaled(_whole(volume, path), volume).reshape(shape)


def channels_first(values: np.ndarray) -> np.ndarray:
    """(D, H, W) or (D, H, W, C) -> (C, D, H, W)."""
    return np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0)


def affine_of(volume: nib.Nifti1Image, rule: AffineRule = "sform") -> np.ndarray:
    """The affine in mm (`read_affine`). Raises UserError that names the file."""
    path = Path(volume.get_filename() or "the volume")
    with _readable(path):
        try:
            return read_affine(volume, rule)
        except UserError as error:
            raise UserError(f"{path} has {error}") from None


def with_affine(values: torch.Tensor, affine: np.ndarray) -> MetaTensor:
    """A volume (C, D, H, W) and where it is: (4, 4), from voxels to mm."""
    from monai.data import MetaTensor

    return MetaTensor(values, torch.from_numpy(affine))


def digits(values: np.ndarray, most: int = 5) -> str:
    """The first different values with all their digits: two that differ read differently."""
    return ", ".join(repr(v.item()).removesuffix(".0") for v in np.unique(values)[:most])


def save_segmentation(labels: np.ndarray, like: Path, to: Path) -> None:
    """Write (D, H, W) labels in their own type as NIfTI, where the image `like` is.

    The header has no text, no intent and no display range.
    """
    source = open_nifti(like)
    if labels.shape != source.shape[:3]:
        raise ValueError(f"labels are {labels.shape}, {like.name} is {source.shape[:3]}")
    header = placed_header(source, labels.shape, labels.dtype)
    to.parent.mkdir(parents=True, exist_ok=True)
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


def _load(path: Path) -> FileBasedImage:
    of_one_case = (*ENDINGS, *(ending.upper() for ending in ENDINGS))
    if path.name.endswith(of_one_case) or not has_ending(path):
        return nib.load(path)
    files = {"image": FileHolder(str(path))}  # for a.Nii.gz nibabel opens a.nii.gz
    try:
        return nib.Nifti1Image.from_file_map(files)
    except HeaderDataError:
        return nib.Nifti2Image.from_file_map(files)


def _whole(volume: nib.Nifti1Image, path: Path) -> np.ndarray:
    """All voxels, as the file has them before they are scaled.

    A packed file is read to its end, where its checksum is: nibabel stops before.
    """
    voxels = cast(ArrayProxy, volume.dataobj)
    if path.suffix.lower() != ".gz":
        return np.asanyarray(voxels.get_unscaled())
    with gzip.open(path) as packed:
        layout = voxels.shape, voxels.dtype, voxels.offset
        values = np.asanyarray(ArrayProxy(packed, layout).get_unscaled())
        while packed.read(CHUNK):
            pass
    return values


def _scaled(stored: np.ndarray, volume: nib.Nifti1Image) -> np.ndarray:
    voxels = cast(ArrayProxy, volume.dataobj)
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


def check_room(size: float, what: str) -> None:
    """Raises UserError where `size` bytes are more than the memory that is free."""
    if size > (free := psutil.virtual_memory().available):
        raise UserError(
            f"{what} voxels, which take {size / 1e9:,.1f} GB of memory; {free / 1e9:,.1f} are free"
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        told = error.strerror or "no such file, or no permission"  # nibabel's own has none
        raise UserError(f"{path} cannot be read: {_no_file(path) or told}") from error
    except UNREADABLE as error:
        told = _no_file(path) or "truncated or no NIfTI file"
        raise UserError(f"{path} cannot be read: {told}") from error


def _no_file(path: Path) -> str | None:
    """What else than a file there is, as links of git-annex and unpacked archives have it."""
    if path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, which is missing"
    return "a folder" if path.is_dir() else None


@contextmanager
def _nibabel_logs() -> Iterator[list[str]]:
    """What nibabel would print of a header that is not as it should be; its warnings are lost."""
    told: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        told.append(record.getMessage())
        return False

    nibabel_log.addFilter(keep)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield told
    finally:
        nibabel_log.removeFilter(keep)


def _four_axes(volume: nib.Nifti1Image, path: Path) -> tuple[int, int, int, int]:
    """(D, H, W, C); further axes of length 1 do not matter."""
    shape = volume.shape
    if len(shape) < 3 or 0 in shape or any(n > 1 for n in shape[4:]):
        raise UserError(
            f"{path} has {len(shape)} axes ({_shape(shape)}); "
            "expected 3, or 4 with the channels as the last"
        )
    d, h, w, c = (*shape, 1)[:4]
    return d, h, w, c


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
