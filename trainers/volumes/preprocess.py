"""File -> network input: turned, cropped, resampled, normalised. `restore` leads back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import UserError
from .files import Image, files_of
from .geometry import Box, Grid, Spacing3, Turn, by, check_affine, voxel_sizes
from .intensity import normalise, occupied
from .labels import label_type
from .nifti import load_labels, load_volume
from .readable import check_room
from .resample import Resampling, resample_labels
from .settings import ResamplingRule, Settings

if TYPE_CHECKING:
    from monai.data import MetaTensor

MOST_FINER = 1000  # times as many voxels: ten times finer along every axis

# The order of interpolation, and that along a strongly anisotropic axis
IMAGE = {"by_axis": (3, 0), "trilinear": (1, 1)}
LABEL = {"by_axis": (1, 0), "trilinear": (0, 0)}
LOGITS = {"by_axis": (1, 0), "trilinear": (1, 1)}


@dataclass(frozen=True)
class Prepared:
    """A network's input, and the grids that lead back to its file.

    In the order in which the image went through them: `native`, the file's; `oriented`, to which
    `turn` brought it; `cropped`, which is the `box` of `oriented`; and `grid`, to which it was
    resampled by the rule `resampling`. `image` is (C, D, H, W) float32 on `grid`. `lowest`: the
    lowest value of each channel of the file.
    """

    image: np.ndarray
    grid: Grid
    cropped: Grid
    box: Box
    oriented: Grid
    turn: Turn
    native: Grid
    resampling: ResamplingRule
    lowest: tuple[float, ...]

    @property
    def back(self) -> Resampling:
        """How logits on `grid` are brought to `cropped`."""
        return Resampling.by_axis(self.grid, self.cropped, *LOGITS[self.resampling])


def prepare_image(
    image: Image | MetaTensor, settings: Settings, spacing: Spacing3 | None
) -> Prepared:
    """Prepare one image: its files, or a volume (C, D, H, W) with its affine in mm.

    `spacing` in mm; None keeps the image's own. Raises UserError where a file is no volume, for
    numbers that are not finite, affines that `check_affine` refuses, and where resampling would
    take more memory than is free.
    """
    if isinstance(image, Path | tuple):
        name, loaded = str(files_of(image)[0]), load_volume(image, settings.affine)
    else:
        name, loaded = "the image", image
    values = loaded.numpy()
    if not all(np.isfinite(plane).all() for channel in values for plane in channel):
        raise UserError(f"{name} has voxels that are NaN or infinite; expected finite numbers")
    native, lowest = _grid(loaded), tuple(float(channel.min()) for channel in values)
    try:
        check_affine(native.affine)
    except UserError as error:
        raise UserError(f"{name} has {error}") from None
    turn = Turn.to(settings.orientation, native.affine)
    oriented = turn.grid(native)
    turned = [turn.apply(channel) for channel in values]  # views
    box = _crop_box(turned, settings)
    cropped = oriented.cropped(box)
    grid = _respaced(cropped, spacing, settings.resampling, name) if spacing else cropped
    size = 8.0 * math.prod(grid.shape) * len(turned)  # float32, before and after normalising
    check_room(size, _becomes(name, cropped, grid))
    way = Resampling.by_axis(cropped, grid, *IMAGE[settings.resampling])
    spaced = np.empty((len(turned), *grid.shape), np.float32)
    for to, channel in zip(spaced, turned, strict=True):
        way(channel[box], to)
    del image, loaded, values, turned, channel  # of a large volume there is room for two
    return Prepared(
        image=normalise(spaced, settings),
        grid=grid,
        cropped=cropped,
        box=box,
        oriented=oriented,
        turn=turn,
        native=native,
        resampling=settings.resampling,
        lowest=lowest,
    )


def prepare_label(path: Path, prepared: Prepared, classes: int) -> np.ndarray:
    """The label map of a prepared image, on its grid: (D, H, W).

    In the smallest unsigned type that holds so many classes. It lies where the image lies: a
    rounding difference must not turn it another way.
    """
    labels = prepared.turn.apply(load_labels(path).astype(label_type(classes)))[prepared.box]
    way = Resampling.by_axis(prepared.cropped, prepared.grid, *LABEL[prepared.resampling])
    return np.ascontiguousarray(resample_labels(labels, way))


def _grid(volume: MetaTensor) -> Grid:
    d, h, w = volume.shape[1:]
    return Grid((d, h, w), np.asarray(volume.affine, dtype=np.float64))


def _crop_box(channels: Sequence[np.ndarray], settings: Settings) -> Box:
    """The box of all that is not empty in channels (D, H, W)."""
    d, h, w = channels[0].shape
    whole = slice(0, d), slice(0, h), slice(0, w)
    if settings.crop == "none":
        return whole
    found = np.logical_or.reduce(list(occupied(channels, settings)))
    if not found.any():  # constant: it has no foreground
        return whole
    x, y, z = (np.flatnonzero(found.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return _from_to(x), _from_to(y), _from_to(z)


def _from_to(indices: np.ndarray) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1)


def _respaced(grid: Grid, spacing: Spacing3, rule: ResamplingRule, name: str) -> Grid:
    new = grid.respaced(spacing)
    if math.prod(new.shape) > MOST_FINER * math.prod(grid.shape):
        raise UserError(
            f"{_becomes(name, grid, new)} voxels, over {MOST_FINER} times as many as it has; "
            "check the file's spacing and unit"
        )
    return new if rule == "by_axis" else _monai_spacing(grid, spacing)


def _monai_spacing(grid: Grid, spacing: Spacing3) -> Grid:
    """As MONAI's `Spacing` places voxels, but along the very axes of `grid`.

    The first voxel's middle stays where it is; where rounding turns an oblique grid's axes the
    least bit, MONAI keeps the middle instead.
    """
    from monai.data.utils import compute_shape_offset, zoom_affine

    zoomed = zoom_affine(grid.affine, spacing, diagonal=False)
    shape, first = compute_shape_offset(grid.shape, grid.affine, zoomed)
    affine = grid.affine @ np.diag([*(spacing / voxel_sizes(grid.affine)), 1.0])
    affine[:3, 3] = first
    d, h, w = map(int, shape)
    return Grid((d, h, w), affine)


def _becomes(name: object, old: Grid, new: Grid) -> str:
    sizes, spacing = by(voxel_sizes(old.affine)), by(voxel_sizes(new.affine))
    shape = " x ".join(map(str, new.shape))
    return f"{name} has voxels of {sizes} mm: brought to {spacing} mm it is {shape}"
