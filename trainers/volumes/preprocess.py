"""NIfTI file -> network input: turned, cropped, resampled, normalised. `restore` leads back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing, SpatialResample
from monai.transforms.utils import generate_spatial_bounding_box

from .errors import UserError
from .geometry import Box, Grid, Spacing3, Turn, by, check_affine, voxel_sizes
from .intensity import normalise, occupied
from .nifti import check_room, label_type, load_labels, load_volume, with_affine
from .settings import Settings

MOST_FINER = 1000  # times as many voxels: ten times finer along every axis


@dataclass(frozen=True)
class Prepared:
    """A network's input, and the grids that lead back to its file.

    In the order in which the image went through them: `native`, the file's; `oriented`, to which
    `turn` brought it; `cropped`, which is the `box` of `oriented`; and `grid`, to which it was
    resampled. `image` is (C, D, H, W) float32 on `grid`.
    """

    image: np.ndarray
    grid: Grid
    cropped: Grid
    box: Box
    oriented: Grid
    turn: Turn
    native: Grid


def prepare_image(
    image: Path | MetaTensor, settings: Settings, spacing: Spacing3 | None
) -> Prepared:
    """Prepare one image: a file, or a volume (C, D, H, W) with its affine in mm.

    `spacing` in mm; None keeps the image's own. Raises UserError where the file is no NIfTI volume,
    for numbers that are not finite, affines that `check_affine` refuses, and where resampling would
    take more memory than is free.
    """
    name = image if isinstance(image, Path) else "the image"
    loaded = load_volume(image, settings.affine) if isinstance(image, Path) else image
    values = loaded.numpy()
    if not np.isfinite(values).all():
        raise UserError(f"{name} has voxels that are NaN or infinite; expected finite numbers")
    native = _grid(loaded)
    try:
        check_affine(native.affine)
    except UserError as error:
        raise UserError(f"{name} has {error}") from None
    turn = Turn.to(settings.orientation, native.affine)
    oriented = turn.grid(native)
    turned = torch.from_numpy(np.stack([turn.apply(channel) for channel in values]))
    box = _crop_box(turned, settings)
    cropped = oriented.cropped(box)
    volume = with_affine(turned[(slice(None), *box)], cropped.affine)
    spaced = _respace(volume, spacing, str(name)) if spacing else volume
    return Prepared(
        image=normalise(spaced.as_tensor(), settings),
        grid=_grid(spaced),
        cropped=cropped,
        box=box,
        oriented=oriented,
        turn=turn,
        native=native,
    )


def prepare_label(path: Path, prepared: Prepared, classes: int) -> np.ndarray:
    """The label map of a prepared image, on its grid: (D, H, W), nearest neighbour.

    In the smallest unsigned type that holds so many classes. It lies where the image lies: a
    rounding difference must not turn it another way.
    """
    labels = prepared.turn.apply(load_labels(path).astype(np.float32))
    cropped = labels[prepared.box]
    volume = with_affine(torch.from_numpy(cropped[None].copy()), prepared.cropped.affine)
    return _resample(volume, prepared.grid, "nearest")[0].numpy().astype(label_type(classes))


def _grid(volume: MetaTensor) -> Grid:
    d, h, w = volume.shape[1:]
    return Grid((d, h, w), np.asarray(volume.affine, dtype=np.float64))


def _crop_box(image: torch.Tensor, settings: Settings) -> Box:
    """The box of all that is not empty."""
    d, h, w = image.shape[1:]
    whole = slice(0, d), slice(0, h), slice(0, w)
    if settings.crop == "none":
        return whole
    # Not CropForeground's, which counts voxels in 16 bits.
    corners = generate_spatial_bounding_box(image, lambda x: occupied(x, settings))
    x, y, z = (slice(int(start), int(stop)) for start, stop in zip(*corners, strict=True))
    if any(side.stop <= side.start for side in (x, y, z)):  # constant: it has no foreground
        return whole
    return x, y, z


def _respace(volume: MetaTensor, spacing: Spacing3, name: str) -> MetaTensor:
    sizes = voxel_sizes(np.asarray(volume.affine))
    shape = np.maximum(1.0, np.round(np.array(volume.shape[1:]) * sizes / spacing))
    what = (
        f"{name} has voxels of {by(sizes)} mm: brought to {by(spacing)} mm it is "
        f"{' x '.join(f'{n:.0f}' for n in shape)}"
    )
    if shape.prod() > MOST_FINER * np.prod(volume.shape[1:]):
        raise UserError(
            f"{what} voxels, over {MOST_FINER} times as many as it has; "
            "check the file's spacing and unit"
        )
    check_room(4.0 * shape.prod() * (volume.shape[0] + 3), what)  # values, and where each is from
    return cast(MetaTensor, Spacing(spacing, mode="bilinear", dtype=np.float32)(volume))


def _resample(volume: MetaTensor, grid: Grid, mode: str) -> torch.Tensor:
    if tuple(volume.shape[1:]) == grid.shape and np.allclose(volume.affine, grid.affine):
        return volume.as_tensor()
    resample = SpatialResample(mode=mode, dtype=np.float32)
    moved = resample(volume, torch.from_numpy(grid.affine), spatial_size=grid.shape)
    return cast(MetaTensor, moved).as_tensor()
