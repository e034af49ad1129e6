"""Is every volume what its source says? All problems are told at once."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from trainers.data.nifti import UNREADABLE, open_nifti
from trainers.data.source import Case, DataSource
from trainers.errors import UserError

Progress = Callable[[int, int, str], None]
"""Called with how many cases are done, how many there are, and the verb, such as `checked`."""

_TOLERANCE = 0.1  # voxels that a corner of the label may lie away from the image's


def check_dataset(
    source: DataSource, progress: Progress | None = None, expecting: str | None = None
) -> None:
    """Read every volume once. Raises one UserError that lists all that cannot be used.

    expecting: what says how many channels and classes there are, where it is not what lists the
    cases.
    """
    problems: list[str] = []
    bad_cases = 0
    for done, case in enumerate(source.cases, start=1):
        found = _CaseCheck(source, expecting or source.described_by).problems(case)
        problems += [f"  {case.name}  {problem}" for problem in found]
        bad_cases += bool(found)
        if progress:
            progress(done, len(source.cases), "checked")
    if problems:
        listed = f": their files, and their entries in {source.described_by}"
        raise UserError(
            f"{source.folder}: {bad_cases} of {len(source.cases)} cases cannot be used\n"
            + "\n".join(problems)
            + f"\nMend or add these files, or remove the cases{'' if expecting else listed}."
        )


class _CaseCheck:
    """Collects what is wrong with one case."""

    def __init__(self, source: DataSource, expecting: str) -> None:
        self.source, self.expecting = source, expecting
        self.found: list[str] = []

    def problems(self, case: Case) -> list[str]:
        has_image, has_label = case.image.exists(), case.label.exists()
        if not has_image and not has_label:
            self.found.append(
                f"listed in {self.source.described_by}, but {_short(case.image)} is missing"
            )
        elif not has_image:
            self.found.append(f"label without an image ({_short(case.label)})")
        elif not has_label:
            self.found.append(f"image without a label ({_short(case.image)})")
        image = self._image(case.image) if has_image else None
        label = self._label(case.label) if has_label else None
        if image is not None and label is not None:
            self._pair(image, label)
        return self.found

    def _image(self, path: Path) -> nib.Nifti1Image | None:
        if (read := self._read(path)) is None:
            return None
        volume, values = read
        expected = len(self.source.modalities)
        channels = values.shape[3] if values.ndim == 4 else 1
        if values.ndim not in (3, 4):
            self.found.append(f"image has {values.ndim} axes, expected 3 or 4 ({_short(path)})")
        elif channels != expected:
            self.found.append(
                f"image has {channels} channels (modalities), but {self.expecting} expects "
                f"{expected} ({_short(path)})"
            )
        if values.dtype.kind == "f" and (bad := np.count_nonzero(~np.isfinite(values))):
            self.found.append(f"image has {bad} voxels that are NaN or infinite ({_short(path)})")
        if not np.isfinite(volume.affine).all() or np.linalg.matrix_rank(volume.affine) < 4:
            self.found.append(f"image has an affine that cannot be inverted ({_short(path)})")
        return volume

    def _label(self, path: Path) -> nib.Nifti1Image | None:
        if (read := self._read(path)) is None:
            return None
        volume, values = read
        count = len(self.source.classes)
        if values.ndim != 3 and values.shape[3:] != (1,):
            self.found.append(
                f"label has {values.ndim} axes, expected 3: a class number a voxel ({_short(path)})"
            )
        good = (values >= 0) & (values < count)
        if values.dtype.kind == "f":
            good &= values == np.rint(values)
        if not good.all():
            wrong = ", ".join(f"{value:g}" for value in np.unique(values[~good])[:5])
            self.found.append(
                f"label has the values {wrong}, but {self.expecting} expects "
                f"0 to {count - 1} ({_short(path)})"
            )
        return volume

    def _read(self, path: Path) -> tuple[nib.Nifti1Image, np.ndarray] | None:
        try:
            volume = open_nifti(path)
            values = np.asanyarray(volume.dataobj)
        except (UserError, *UNREADABLE):
            self.found.append(f"{_short(path)} is truncated or no NIfTI file")
            return None
        if values.dtype.kind not in "iuf":
            self.found.append(f"{_short(path)} has voxels of type {values.dtype}, expected numbers")
            return None
        return volume, values

    def _pair(self, image: nib.Nifti1Image, label: nib.Nifti1Image) -> None:
        image_shape, label_shape = image.shape[:3], label.shape[:3]
        differ = ["shape"] if image_shape != label_shape else []
        if not _same_place(image.affine, label.affine, image_shape):
            differ.append("affine")
        if differ:
            sizes = "x".join(map(str, image_shape)), "x".join(map(str, label_shape))
            self.found.append(
                f"image {sizes[0]} and label {sizes[1]} differ in {' and '.join(differ)}"
            )


def _same_place(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Do two affines put the corners of a grid at the same place?"""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1.0])).reshape(4, -1)
    voxel = np.linalg.norm(a[:3, :3], axis=0).min()
    return bool(np.linalg.norm((a - b) @ corners, axis=0).max() <= _TOLERANCE * voxel)


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
