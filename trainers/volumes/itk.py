"""NRRD and MetaImage files through SimpleITK, an optional dependency.

ITK's millimetres run to the left and back (LPS), ours to the right and front (RAS+): both axes of
every position are mirrored, here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from .errors import UserError
from .pictures import THICKNESS
from .readable import check_room, readable

MIRROR = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS <-> RAS+


def open_itk(path: Path) -> nib.Nifti1Image:
    """The header and affine of a file, (D, H, W) or (D, H, W, C); voxels are read later.

    The components of a voxel, or a fourth axis, are the channels; two axes are one slice, as in
    `pictures`. Raises UserError where SimpleITK is missing or cannot read it, and for complex
    voxels.
    """
    itk = _simple_itk(path)
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    with readable(path):
        path.open("rb").close()  # whose errors say more
        reader.ReadImageInformation()
    size, numbers = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) not in (2, 3, 4) or (len(size) == 4 and numbers > 1):
        raise UserError(f"{path} has {len(size)} axes; expected 3, or 4 with the channels last")
    axes = len(size)
    dtype = itk.GetArrayViewFromImage(itk.Image([1] * axes, reader.GetPixelID(), numbers)).dtype
    if dtype.kind not in "iuf":
        raise UserError(f"{path} has complex voxels; expected one number a voxel and channel")
    shape = (*size, 1) if axes == 2 else tuple(size)
    shape = (*shape, numbers) if numbers > 1 else shape
    check_room(4 * float(np.prod(shape)), f"{path} is {'x'.join(map(str, shape))}")
    affine = MIRROR @ _lps_affine(reader, min(axes, 3))
    with readable(path):  # a header of NIfTI holds 32,767 voxels a side
        volume = nib.Nifti1Image(_Voxels(path, shape, dtype), affine, dtype=dtype)
    volume.file_map["image"].filename = str(path)
    return volume


def save_itk(labels: np.ndarray, affine: np.ndarray, to: Path) -> None:
    """Write labels (D, H, W) with their affine to RAS+ mm, compressed."""
    itk = _simple_itk(to)
    image = itk.GetImageFromArray(np.ascontiguousarray(labels.T))
    lps = MIRROR @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    itk.WriteImage(image, str(to), True)


def _lps_affine(header: Any, axes: int) -> np.ndarray:
    """(4, 4), from voxels to ITK's mm, of the first 2 or 3 `axes`."""
    every = header.GetDimension()
    direction = np.reshape(header.GetDirection(), (every, every))[:axes, :axes]
    affine = np.diag([1.0, 1.0, THICKNESS, 1.0])
    affine[:axes, :axes] = direction * header.GetSpacing()[:axes]
    affine[:axes, 3] = header.GetOrigin()[:axes]
    return affine


def _simple_itk(path: Path) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise UserError(
            f"{path}: NRRD and MetaImage need SimpleITK, which is not installed; "
            "pip install 'segnas[itk]'"
        ) from error
    return SimpleITK


class _Voxels:
    """The voxels of a file, read when they are asked for."""

    is_proxy = True

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._path, self.shape, self.ndim, self.dtype = path, shape, len(shape), dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        itk = _simple_itk(self._path)
        image = itk.ReadImage(str(self._path))
        values = itk.GetArrayFromImage(image)  # (t, z, y, x) or (z, y, x, components)
        space = image.GetDimension()
        axes = (*reversed(range(space)), *range(space, values.ndim))
        return np.asarray(values.transpose(axes).reshape(self.shape), dtype)
