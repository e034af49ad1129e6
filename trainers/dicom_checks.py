"""Are the slices of a DICOM series one volume?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainers.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

_NEEDED = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
)
SPACING_TOLERANCE = 0.05  # of the spacing: positions are often written with few digits
AT_ONE_PLACE = 0.01  # mm between two slices, or a hundredth of their distance where that is less
TILT_TOLERANCE = 1e-3  # of a cosine: about 2.5 degrees


def check_slices(name: str, files: Sequence[Path], headers: Sequence[Dataset]) -> None:
    """Raises UserError where the `headers` of the `files` of a series are not those of one volume.

    It is one where sizes, spacing, direction and frame of reference are the same, and slices follow
    each other along their normal (PS3.3 C.7.6.2) at one distance, none missing and none twice.
    """
    for header, file in zip(headers, files, strict=True):
        if header.get("NumberOfFrames", 1) not in (1, None):
            raise UserError(f"{file} holds several frames; expected a slice a file")
        if missing := [keyword for keyword in _NEEDED if header.get(keyword) is None]:
            raise UserError(f"{file} has no {', '.join(missing)}; expected a slice of a volume")
    if len(headers) < 2:
        raise UserError(f"series {name} has a single slice; expected a volume")
    for keyword in ("Rows", "Columns", "PixelSpacing", "FrameOfReferenceUID"):
        found = {str(header[keyword].value) for header in headers}
        if len(found) > 1:
            raise UserError(
                f"series {name} has slices of different {keyword}: "
                f"{', '.join(sorted(found)[:3])}; expected one volume"
            )
    _check_positions(name, headers)


def _check_positions(name: str, headers: Sequence[Dataset]) -> None:
    orientations = np.array([header.ImageOrientationPatient for header in headers], float)
    rows, columns = orientations[:, :3], orientations[:, 3:]
    if min((rows @ rows[0]).min(), (columns @ columns[0]).min()) < 1 - TILT_TOLERANCE:
        raise UserError(f"series {name} has slices of different directions; expected one volume")
    positions = np.array([header.ImagePositionPatient for header in headers], float)
    normal = np.cross(rows[0], columns[0])
    order = np.argsort(positions @ normal)
    along = (positions @ normal)[order]
    steps = np.diff(along)
    usual = float(np.median(steps))
    if (twice := steps <= min(AT_ONE_PLACE, 0.01 * steps.max())).any():
        at = along[1:][twice][0]
        raise UserError(
            f"series {name} has two slices at {at:.2f} mm along its normal; expected one "
            "volume (several echoes, time points or directions are several)"
        )
    wrong = np.abs(steps - usual) > SPACING_TOLERANCE * usual
    if wrong.any():
        at = int(np.argmax(wrong))
        raise UserError(
            f"series {name} has slices {steps[at]:.2f} mm apart between {along[at]:.2f} and "
            f"{along[at + 1]:.2f} mm along its normal, and {usual:.2f} mm elsewhere; "
            "a slice is missing or the spacing varies"
        )
    span = positions[order[-1]] - positions[order[0]]
    if span @ normal / np.linalg.norm(span) < 1 - TILT_TOLERANCE:
        raise UserError(
            f"series {name} is tilted: its slices are not stacked along their normal "
            "(gantry tilt); resample it first"
        )
