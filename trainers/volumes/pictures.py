"""PNG, JPEG and BMP pictures as volumes of one slice.

A pixel is 1 mm. Columns run to the patient's left and rows to the back, as ITK places a picture.
The slice is as thick as nnU-Net takes one, so that no network looks for neighbours across it.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np

from .errors import UserError
from .readable import check_room, readable

THICKNESS = 999.0  # mm
AFFINE = np.diag([-1.0, -1.0, THICKNESS, 1.0])
LARGEST = 2**15 - 1  # pixels along an axis: a NIfTI header holds no more


def open_picture(path: Path) -> nib.Nifti1Image:
    """The size of a picture, (width, height, 1) or (width, height, 1, C); pixels are read later.

    Colours are channels; a palette's numbers stay numbers. Raises UserError where it is none.
    """
    with readable(path), _pictures().open(path) as picture:
        size, colours = picture.size, len(picture.getbands())
    if max(size) > LARGEST:
        raise UserError(f"{path} is {size[0]}x{size[1]} pixels; expected {LARGEST} a side at most")
    shape = (*size, 1, colours) if colours > 1 else (*size, 1)
    check_room(4.0 * size[0] * size[1] * colours, f"{path} is {size[0]}x{size[1]}")
    volume = nib.Nifti1Image(_Pixels(path, shape), AFFINE, dtype=np.float32)
    volume.file_map["image"].filename = str(path)
    return volume


def save_picture(labels: np.ndarray, to: Path) -> None:
    """Write labels (width, height, 1) as a picture. Raises UserError where it cannot hold them."""
    if labels.shape[2] != 1:
        raise UserError(f"{to} cannot hold {labels.shape[2]} slices; expected one")
    _pictures().fromarray(labels[:, :, 0].T).save(to)


def _pictures() -> ModuleType:
    """Pillow, which a MONAI Bundle does without, and without its own limit of pixels."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # that of `LARGEST` and of the memory holds
    return Image


class _Pixels:
    """The pixels of a picture, read when they are asked for."""

    is_proxy = True
    dtype = np.dtype(np.float32)  # for a header that nobody reads

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path, self.shape, self.ndim = path, shape, len(shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        with _pictures().open(self._path) as picture:
            picture.load()  # NumPy would say nothing of what is damaged
            rows = np.asarray(picture)
        rows = rows.astype(np.uint8) if rows.dtype == bool else rows
        return np.asarray(np.swapaxes(rows, 0, 1).reshape(self.shape), dtype)
