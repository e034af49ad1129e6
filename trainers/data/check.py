"""Is every volume what its source says? All problems are told at once."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from trainers.data.source import Case, DataSource
from trainers.errors import UserError
from trainers.volumes.geometry import same_place
from trainers.volumes.nifti import LABEL_TOLERANCE, affine_of, digits, open_nifti, read_values

Progress = Callable[[int, int, str], None]
"""Called with how many cases are done, how many there are, and the verb, such as `checked`."""


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
        if channels != expected:
            self.found.append(
                f"image has {channels} channels (modalities), but {self.expecting} expects "
                f"{expected} ({_short(path)})"
            )
        if values.dtype.kind == "f" and (bad := np.count_nonzero(~np.isfinite(values))):
            self.found.append(f"image has {bad} voxels that are NaN or infinite ({_short(path)})")
        return volume

    def _label(self, path: Path) -> nib.Nifti1Image | None:
        if (read := self._read(path)) is None:
            return None
        volume, values = read
        count = len(self.source.classes)
        if values.ndim != 3:
            self.found.append(
                f"label has {volume.ndim} axes, expected 3: a class number a voxel ({_short(path)})"
            )
        nearest = np.rint(values)
        good = (nearest >= 0) & (nearest < count) & (np.abs(values - nearest) <= LABEL_TOLERANCE)
        if not good.all():
            self.found.append(
                f"label has the values {digits(values[~good])}, but {self.expecting} expects "
                f"0 to {count - 1} ({_short(path)})"
            )
        return volume

    def _read(self, path: Path) -> tuple[nib.Nifti1Image, np.ndarray] | None:
        try:
            volume = open_nifti(path)
            affine_of(volume)
            return volume, read_values(volume, path)
        except UserError as error:
            self.found.append(str(error).replace(str(path), _short(path)))
            return None

    def _pair(self, image: nib.Nifti1Image, label: nib.Nifti1Image) -> None:
        image_shape, label_shape = image.shape[:3], label.shape[:3]
        differ = ["shape"] if image_shape != label_shape else []
        if not same_place(affine_of(image), affine_of(label), image_shape):
            differ.append("affine")
        if differ:
            sizes = "x".join(map(str, image_shape)), "x".join(map(str, label_shape))
            self.found.append(
                f"image {sizes[0]} and label {sizes[1]} differ in {' and '.join(differ)}"
            )


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
