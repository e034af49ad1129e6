"""PNG, JPEG and BMP pictures as volumes of one slice.

A pixel is 1 mm. Columns run to the patient's left and rows to the back, as ITK places a picture.
The slice is as thick as nnU-Net takes one, so that no network looks for neighbours across it.
A picture is turned by its EXIF orientation, as viewers show it.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from .errors import UserError
from .readable import check_room, readable

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THICKNESS = 999.0  # mm
AFFINE = np.diag([-1.0, -1.0, THICKNESS, 1.0])
LARGEST = 2**15 - 1  # pixels along an axis: a NIfTI header holds no more
ORIENTATION = 0x0112  # of EXIF
UPRIGHT = 4  # orientations above it have columns for rows
FORWARD = ((1, 1), (1, -1), (-1, -1), (-1, 1))  # rows and columns, of orientations 1 to 4, 5 to 8
_LIMIT = Lock()


def open_picture(path: Path) -> nib.Nifti1Image:
    """The size of a picture, (width, height, 1) or (width, height, 1, C); pixels are read later.

    Colours are channels; a palette's numbers stay numbers. Raises UserError where it is none.
    """
    with readable(path), _open(path) as picture:
        size, colours, turn = picture.size, len(picture.getbands()), _turn(picture)
    size = size[::-1] if turn > UPRIGHT else size
    if max(size) > LARGEST:
        raise UserError(f"{path} is {size[0]}x{size[1]} pixels; expected {LARGEST} a side at most")
    shape = (*size, 1, colours) if colours > 1 else (*size, 1)
    check_room(4.0 * size[0] * size[1] * colours, f"{path} is {size[0]}x{size[1]}")
    volume = nib.Nifti1Image(_Pixels(path, shape, turn), AFFINE, dtype=np.float32)
    volume.file_map["image"].filename = str(path)
    return volume


def save_picture(labels: np.ndarray, to: Path) -> None:
    """Write labels (width, height, 1) as a picture. Raises UserError where it cannot hold them."""
    if labels.shape[2] != 1:
        raise UserError(f"{to} cannot hold {labels.shape[2]} slices; expected one")
    from PIL import Image

    Image.fromarray(labels[:, :, 0].T).save(to)


def is_turned(volume: nib.Nifti1Image) -> bool:
    """Whether it is a picture whose EXIF orientation is another than that of its pixels."""
    return isinstance(volume.dataobj, _Pixels) and volume.dataobj.turn != 1


def _open(path: Path) -> Picture:
    """By Pillow, which a MONAI Bundle does without, and without its own limit of pixels: that of
    `LARGEST` and of the memory holds."""
    from PIL import Image

    with _LIMIT:  # it is the process's: put back, so that it holds wherever else pictures are read
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _turn(picture: Picture) -> int:
    """The EXIF orientation, 1 to 8; 1, that of the pixels, where none is told."""
    if "exif" not in picture.info:  # else PNG files are read to their end for it
        return 1
    try:
        told = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF raises whatever it meets; viewers go on without it
        return 1
    return int(told) if told in range(1, 9) else 1


class _Pixels:
    """The pixels of a picture, read when they are asked for."""

    is_proxy = True
    dtype = np.dtype(np.float32)  # for a header that nobody reads

    def __init__(self, path: Path, shape: tuple[int, ...], turn: int) -> None:
        self._path, self.shape, self.ndim, self.turn = path, shape, len(shape), turn

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        with _open(self._path) as picture:
            picture.load()  # NumPy would say nothing of what is damaged
            rows = np.asarray(picture)
        rows = np.swapaxes(rows, 0, 1) if self.turn > UPRIGHT else rows
        down, right = FORWARD[(self.turn - 1) % 4]
        rows = rows[::down, ::right]
        rows = rows.astype(np.uint8) if rows.dtype == bool else rows
        return np.asarray(np.swapaxes(rows, 0, 1).reshape(self.shape), dtype)
