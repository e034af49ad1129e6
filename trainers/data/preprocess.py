"""NIfTI file -> network input, and network output -> NIfTI file, through one geometry.

Forth: orient, crop, resample, normalise. Back: resample, decide the class, uncrop, orient.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import (
    CropForeground,
    NormalizeIntensity,
    Orientation,
    ScaleIntensityRange,
    Spacing,
    SpatialResample,
)
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)

from trainers.data.config import Preprocess
from trainers.data.nifti import load_volume
from trainers.errors import UserError

Spacing3 = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """Where voxels are: (D, H, W) and the (4, 4) affine to millimetres."""

    shape: tuple[int, ...]
    affine: np.ndarray

    @classmethod
    def of(cls, volume: MetaTensor) -> "Grid":
        return cls(tuple(volume.shape[1:]), np.asarray(volume.affine, dtype=np.float64))


@dataclass(frozen=True)
class Prepared:
    """A network's input, and the grids that lead back to its file.

    In the order in which the image went through them: `native`, the file's; `oriented`, its axes
    swapped and mirrored; `cropped`, which begins at voxel `start` of `oriented`; and `grid`, to
    which it was resampled. `image` is (C, D, H, W) float32 on `grid`.
    """

    image: np.ndarray
    grid: Grid
    cropped: Grid
    start: tuple[int, ...]
    oriented: Grid
    native: Grid


def with_affine(values: torch.Tensor, affine: np.ndarray) -> MetaTensor:
    """A volume (C, D, H, W) and where it is: (4, 4), from voxels to mm."""
    return MetaTensor(values, torch.from_numpy(affine))


def prepare_image(
    image: Path | MetaTensor, preprocess: Preprocess, spacing: Spacing3 | None
) -> Prepared:
    """Prepare one image: a file, or a volume (C, D, H, W) with its affine.

    `spacing` in mm; None keeps the image's own. Raises UserError where the file is no NIfTI volume,
    and for numbers that are not finite.
    """
    loaded = load_volume(image) if isinstance(image, Path) else image
    if not np.isfinite(loaded.numpy()).all():
        name = image if isinstance(image, Path) else "the image"
        raise UserError(f"{name} has voxels that are NaN or infinite; expected finite numbers")
    oriented = _orient(loaded, preprocess)
    start, stop = _crop_box(oriented, preprocess)
    cropped = _crop(oriented, start, stop)
    spaced = _respace(cropped, spacing) if spacing else cropped
    return Prepared(
        image=_normalise(spaced, preprocess),
        grid=Grid.of(spaced),
        cropped=Grid.of(cropped),
        start=start,
        oriented=Grid.of(oriented),
        native=Grid.of(loaded),
    )


def prepare_label(path: Path, preprocess: Preprocess, prepared: Prepared) -> np.ndarray:
    """The label map of a prepared image, on its grid: (D, H, W) uint8, nearest neighbour."""
    loaded = load_volume(path)
    # The image's affine: a rounding difference must not orient the label another way.
    oriented = _orient(with_affine(loaded.as_tensor(), prepared.native.affine), preprocess)
    stop = tuple(a + n for a, n in zip(prepared.start, prepared.cropped.shape, strict=True))
    cropped = _crop(oriented, prepared.start, stop)
    return _resample(cropped, prepared.grid, "nearest")[0].numpy().astype(np.uint8)


def restore(logits: np.ndarray, prepared: Prepared) -> np.ndarray:
    """Logits (C_cls, D, H, W) on the prepared grid -> uint8 labels in the shape of the file.

    Classes are resampled one at a time, so that memory is that of two volumes, not of C_cls.
    """
    if logits.shape[1:] != prepared.grid.shape:
        raise ValueError(f"logits are {logits.shape[1:]}, the prepared image {prepared.grid.shape}")
    best = np.full(prepared.cropped.shape, -np.inf, dtype=np.float32)
    cropped = np.zeros(prepared.cropped.shape, dtype=np.uint8)
    for index, values in enumerate(logits):
        volume = with_affine(
            torch.from_numpy(np.array(values[None], np.float32)), prepared.grid.affine
        )
        native = _resample(volume, prepared.cropped, "bilinear")[0].numpy()
        better = native > best
        cropped[better], best[better] = index, native[better]
    labels = np.zeros(prepared.oriented.shape, dtype=np.uint8)
    box = zip(prepared.start, cropped.shape, strict=True)
    labels[tuple(slice(a, a + n) for a, n in box)] = cropped
    turn = ornt_transform(
        io_orientation(prepared.oriented.affine), io_orientation(prepared.native.affine)
    )
    return np.ascontiguousarray(apply_orientation(labels, turn))


def oriented_spacing(affine: np.ndarray, orientation: str) -> Spacing3:
    """Voxel size in mm along the axes of `orientation`."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(orientation))
    x, y, z = sizes[np.argsort(turn[:, 0])]
    return float(x), float(y), float(z)


def _orient(volume: MetaTensor, preprocess: Preprocess) -> MetaTensor:
    turn = Orientation(preprocess.orientation, labels=(("L", "R"), ("P", "A"), ("I", "S")))
    return cast(MetaTensor, turn(volume))


Corner = tuple[int, ...]


def _crop_box(volume: MetaTensor, preprocess: Preprocess) -> tuple[Corner, Corner]:
    """The box of all that is not empty: above the CT window's lower end, or above the minimum."""
    whole = (0, 0, 0), tuple(volume.shape[1:])
    if preprocess.crop == "none":
        return whole
    empty = preprocess.window[0] if preprocess.window else float(volume.min())
    start, stop = CropForeground(lambda x: x > empty).compute_bounding_box(volume)
    if np.any(stop <= start):  # a constant volume has no foreground
        return whole
    return tuple(int(i) for i in start), tuple(int(i) for i in stop)


def _crop(volume: MetaTensor, start: Corner, stop: Corner) -> MetaTensor:
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    affine = np.asarray(volume.affine, dtype=np.float64).copy()
    affine[:3, 3] += affine[:3, :3] @ start
    return with_affine(volume.as_tensor()[(slice(None), *box)], affine)


def _respace(volume: MetaTensor, spacing: Spacing3) -> MetaTensor:
    return cast(MetaTensor, Spacing(spacing, mode="bilinear", dtype=np.float32)(volume))


def _resample(volume: MetaTensor, grid: Grid, mode: str) -> torch.Tensor:
    if tuple(volume.shape[1:]) == grid.shape and np.allclose(volume.affine, grid.affine):
        return volume.as_tensor()
    resample = SpatialResample(mode=mode, dtype=np.float32)
    moved = resample(volume, torch.from_numpy(grid.affine), spatial_size=grid.shape)
    return cast(MetaTensor, moved).as_tensor()


def _normalise(image: MetaTensor, preprocess: Preprocess) -> np.ndarray:
    if preprocess.window:
        low, high = preprocess.window
        scaled = ScaleIntensityRange(low, high, 0.0, 1.0, clip=True)(image.as_tensor())
    else:
        scaled = NormalizeIntensity(channel_wise=True)(image.as_tensor())
    return np.ascontiguousarray(scaled, dtype=np.float32)
