"""Where voxels are: from a NIfTI header to millimetres, turned, cropped, and back.

Coordinates are nibabel's: RAS+ millimetres, an affine (4, 4) maps voxel indices (i, j, k, 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from nibabel.spatialimages import HeaderDataError

from .errors import UserError
from .settings import AffineRule

Spacing3 = tuple[float, float, float]
Shape3 = tuple[int, int, int]
Box = tuple[slice, slice, slice]

OTHER_UNITS = {1: ("metre", 1000.0), 3: ("micrometre", 0.001)}  # NIfTI's codes, and their mm
SHEAR_TOLERANCE = 0.045  # of a cosine between two axes: 2.5 degrees
DISAGREEMENT = 0.1  # voxels between two affines' corners, or of a spacing, that are worth a word


@dataclass(frozen=True)
class Grid:
    """Where voxels are: (D, H, W) and the (4, 4) affine to millimetres."""

    shape: Shape3
    affine: np.ndarray

    def cropped(self, box: Box) -> Grid:
        """The voxels in the box."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        return Grid(_three(side.stop - side.start for side in box), affine)

    def respaced(self, spacing: Spacing3) -> Grid:
        """Voxels of `spacing` mm around the same middle, as many as fill the same extent."""
        sizes = voxel_sizes(self.affine)
        shape = _three(np.maximum(1, np.round(np.multiply(self.shape, sizes) / spacing)))
        first = (np.array(self.shape) - 1 - (np.array(shape, float) - 1) * spacing / sizes) / 2
        affine = self.affine.copy()
        affine[:3, :3] *= spacing / sizes
        affine[:3, 3] += self.affine[:3, :3] @ first
        return Grid(shape, affine)


@dataclass(frozen=True)
class Turn:
    """Axes swapped and mirrored to `codes`, such as RAS, and back.

    `there` and `back` are nibabel's orientation arrays. The way back is kept, not found again: at
    45 degrees to an axis rounding decides the orientation of an affine.
    """

    there: np.ndarray
    back: np.ndarray

    @classmethod
    def to(cls, codes: str, affine: np.ndarray) -> Turn:
        """The turn of a volume of this affine to the closest axes of `codes`."""
        own, wanted = io_orientation(affine), axcodes2ornt(codes)
        return cls(ornt_transform(own, wanted), ornt_transform(wanted, own))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(D, H, W, ...) of the file -> of the turned grid."""
        return apply_orientation(values, self.there)

    def undo(self, values: np.ndarray) -> np.ndarray:
        """(D, H, W, ...) of the turned grid -> of the file."""
        return apply_orientation(values, self.back)

    def grid(self, native: Grid) -> Grid:
        """The turned grid of a file's grid."""
        affine = native.affine @ inv_ornt_aff(self.there, native.shape)
        axes = np.argsort(self.there[:, 0])
        return Grid(_three(native.shape[axis] for axis in axes), affine)


def voxel_sizes(affine: np.ndarray) -> np.ndarray:
    """(3,) mm along the voxel axes."""
    with np.errstate(over="ignore"):  # infinite, which `check_affine` refuses
        return np.linalg.norm(affine[:3, :3], axis=0)


def rounded(value: float, behind: int) -> float:
    """With so many digits behind the point, or with five in all where those would be two of its own
    or fewer: a microscope's voxels are thousandths of a millimetre."""
    return round(value, behind) if abs(value) >= 10.0 ** (2 - behind) else float(f"{value:.5g}")


def oriented_spacing(affine: np.ndarray, orientation: str) -> Spacing3:
    """Voxel size in mm along the axes of `orientation`."""
    axes = np.argsort(Turn.to(orientation, affine).there[:, 0])
    x, y, z = voxel_sizes(affine)[axes]
    return float(x), float(y), float(z)


def read_affine(volume: nib.Nifti1Image, rule: AffineRule = "sform") -> np.ndarray:
    """(4, 4), from voxels to mm, whatever the header's unit is.

    A header can say three times where voxels are. `sform` is nibabel's order: the sform where its
    code is set, else the qform, else the voxel sizes alone. `qform`: that one first. `pixdim`: the
    directions of `sform`, with the voxel sizes of pixdim. Raises UserError for an affine that is
    not finite, flat or sheared.
    """
    mm = _unit(volume)[1]
    with np.errstate(all="ignore"):  # what is not finite is refused
        affine = np.diag([mm, mm, mm, 1.0]) @ _header_affine(volume, rule)
    check_affine(affine)
    return affine


def check_affine(affine: np.ndarray) -> None:
    """Raises UserError where it is no rotation, mirror image and scaling of the three axes."""
    if not np.isfinite(affine).all():
        raise UserError("an affine with numbers that are not finite")
    sizes = voxel_sizes(affine)
    if not np.all(sizes > 0) or not np.all(np.isfinite(sizes)):
        raise UserError(f"an affine with voxels of {by(sizes)} mm")
    axes = affine[:3, :3] / sizes
    cosines = np.abs(np.triu(axes.T @ axes, 1))
    if cosines.max() > 1 - 1e-3:
        raise UserError("an affine that cannot be inverted")
    if cosines.max() > SHEAR_TOLERANCE:
        a, b = np.unravel_index(cosines.argmax(), cosines.shape)
        angle = np.degrees(np.arccos(cosines.max()))
        raise UserError(
            f"a sheared affine: axes {a + 1} and {b + 1} are at {angle:.1f} degrees, expected 90; "
            "resample it to a grid of right angles first"
        )


def doubts(volume: nib.Nifti1Image, rule: AffineRule = "sform") -> list[str]:
    """What the header says in two ways; each as a sentence with both.

    None under another rule than the usual one: a person has seen it then, and chosen.
    """
    if rule != "sform":
        return []
    header, affine = volume.header, volume.affine
    told = []
    if not header["qform_code"] and not header["sform_code"]:
        told.append(
            "the header has no orientation (qform and sform codes are 0): axes are taken as left, "
            "front and up, other programs may mirror them"
        )
    elif header["qform_code"] and header["sform_code"]:
        try:
            other = _qform(volume)
        except UserError as error:
            told.append(f"its qform cannot be used ({error}); the sform counts")
            other = affine
        if not same_place(affine, other, volume.shape[:3]):
            told.append(
                f"sform ({by(voxel_sizes(affine))}, {_axes(affine)}) and qform "
                f"({by(voxel_sizes(other))}, {_axes(other)}) put it in different places; "
                "the sform counts (data.preprocess.affine: qform takes the other)"
            )
    pixdim, sizes = np.abs(header["pixdim"][1:4]).astype(float), voxel_sizes(affine)
    if not np.all(np.abs(pixdim - sizes) <= DISAGREEMENT * sizes):  # NaN is not the same
        told.append(
            f"voxels are {by(sizes)} by the affine and {by(pixdim)} by pixdim; the affine counts "
            "(data.preprocess.affine: pixdim takes the other)"
        )
    return told


def unit_not_mm(volume: nib.Nifti1Image) -> str | None:
    """The header's unit of length, where it has one and it is not the millimetre."""
    return _unit(volume)[0]


def same_place(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Do two affines put the corners of a grid at the same place, within a tenth of a voxel?"""
    with np.errstate(all="ignore"):  # what is not finite is not the same
        return bool(distance(a, b, shape) <= DISAGREEMENT * voxel_sizes(a).min())


def distance(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> float:
    """mm between the places where two affines put a corner of a grid, the largest of them."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1.0])).reshape(4, -1)
    return float(np.linalg.norm((a - b) @ corners, axis=0).max())


def by(sizes: Sequence[float] | np.ndarray) -> str:
    """1 x 1 x 2.5, to four digits; a million and more as 1e+06."""
    return " x ".join(f"{float(f'{size:.4g}'):g}" for size in sizes)


def _header_affine(volume: nib.Nifti1Image, rule: AffineRule) -> np.ndarray:
    header, affine = volume.header, volume.affine
    if rule == "qform" and header["qform_code"]:
        return _qform(volume)
    if rule == "pixdim":
        scale = np.abs(header["pixdim"][1:4]).astype(float) / voxel_sizes(affine)
        return np.asarray(affine @ np.diag([*scale, 1.0]))
    return np.asarray(affine)


def _qform(volume: nib.Nifti1Image) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(volume.header.get_qform())
    except (ValueError, HeaderDataError):
        raise UserError("a qform whose numbers are none of a rotation") from None
    check_affine(affine)
    return affine


def _unit(volume: nib.Nifti1Image) -> tuple[str | None, float]:
    """Its name and its mm; where it is unknown, the millimetre, as all take it."""
    return OTHER_UNITS.get(int(volume.header["xyzt_units"]) & 7, (None, 1.0))


def _axes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))


def _three(sizes: Iterable[int]) -> Shape3:
    a, b, c = map(int, sizes)
    return a, b, c
