"""What is wrong with one case, and what is known of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np

from trainers.data.check.facts import PERCENTILES, CaseFacts, content
from trainers.data.check.finding import Finding, Kind
from trainers.data.check.outliers import far_voxels
from trainers.data.source import Case, DataSource
from trainers.errors import UserError
from trainers.volumes.files import Image, files_of
from trainers.volumes.geometry import (
    Grid,
    Turn,
    by,
    distance,
    doubts,
    oriented_spacing,
    same_place,
    unit_not_mm,
)
from trainers.volumes.nifti import (
    affine_of,
    channels_first,
    digits,
    nearest_classes,
    open_volume,
    read_values,
)
from trainers.volumes.pictures import is_turned
from trainers.volumes.settings import AffineRule

AXES = "RAS"  # of the sizes that are told


class CaseCheck:
    """Reads one case. `findings` has what is wrong or doubtful.

    expecting: what says how many channels and classes there are, for messages.
    """

    def __init__(self, source: DataSource, case: Case, expecting: str, rule: AffineRule) -> None:
        self.source, self.case, self.expecting, self.rule = source, case, expecting, rule
        self.findings: list[Finding] = []

    def read(self) -> CaseFacts | None:
        """The facts, where both files can be used."""
        files = files_of(self.case.image)
        missing = [file for file in files if not _is_there(file)]
        has_image, has_label = not missing, _is_there(self.case.label)
        if len(missing) == len(files) and not has_label:
            self._found(
                Kind.MISSING,
                f"listed in {self.source.described_by}, but {self._place(files[0])} is missing",
            )
        elif len(missing) == len(files):
            wanted = self._place(files[0])
            told = f"label without an image ({_short(self.case.label)}); expected {wanted}"
            self._found(Kind.MISSING, told)
        elif missing:
            lost = ", ".join(map(self._place, missing))
            self._found(Kind.MISSING, f"{len(missing)} of {len(files)} files missing ({lost})")
        if has_image and not has_label:
            wanted = self._place(self.case.label)
            told = f"image without a label ({_short(files[0])}); expected {wanted}"
            self._found(Kind.MISSING, told)
        image = self._open(self.case.image) if has_image else None
        label = self._open(self.case.label) if has_label else None
        if image and label:
            self._pair(image, label)
        channels = self._image(image) if image else None
        classes = self._label(label) if label else None
        if channels is None or classes is None or any(one.fault for one in self.findings):
            return None
        assert image  # it has channels
        return self._facts(image, channels, classes)

    def _place(self, path: Path) -> str:
        """Where a missing file was looked for: from the folder of the data on, or in full."""
        inside = path.is_relative_to(self.source.folder)
        place = str(path.relative_to(self.source.folder) if inside else path)
        return f"{place} (folders are separated by / here)" if "\\" in place else place

    def _facts(
        self, image: nib.Nifti1Image, channels: np.ndarray, classes: np.ndarray
    ) -> CaseFacts:
        """channels: (C, D, H, W), classes: (D, H, W)."""
        affine = affine_of(image, self.rule)
        turn = Turn.to(AXES, affine)
        counts = np.bincount(classes.reshape(-1, order="F"), minlength=self._count)
        return CaseFacts(
            name=self.case.name,
            shape=turn.grid(Grid(classes.shape, affine)).shape,
            voxel_size=oriented_spacing(affine, AXES),
            intensities=tuple(
                tuple(np.percentile(channel, PERCENTILES).tolist()) for channel in channels
            ),
            voxels=tuple(counts[: self._count].tolist()),
            image=content(turn.apply(np.moveaxis(channels, 0, -1))),
            label=content(turn.apply(classes)),
            ignored=int(counts[self._count :].sum()),
        )

    @property
    def _count(self) -> int:
        return len(self.source.classes)

    def _open(self, image: Image) -> nib.Nifti1Image | None:
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                volume = open_volume(image)
            affine_of(volume, self.rule)
        except UserError as error:
            self._found(Kind.UNREADABLE, _told(error, image))
            return None
        for warning in told:  # of a header that was mended
            self._found(Kind.GEOMETRY, _told(warning.message, image))
        return volume

    def _values(self, volume: nib.Nifti1Image, image: Image) -> np.ndarray | None:
        try:
            return read_values(volume)
        except UserError as error:
            self._found(Kind.UNREADABLE, _told(error, image))
            return None

    def _pair(self, image: nib.Nifti1Image, label: nib.Nifti1Image) -> None:
        turned = _turned(image, label)
        shapes = image.shape[:3], label.shape[:3]
        differ = ["shape"] if shapes[0] != shapes[1] else []
        affines = affine_of(image, self.rule), affine_of(label, self.rule)
        if len(shapes[0]) == 3 and not same_place(*affines, shapes[0]):
            apart = distance(*affines, shapes[0])
            differ.append(f"affine (corners up to {by([apart])} mm apart)")
        if differ:
            sizes = ["x".join(map(str, shape)) for shape in shapes]
            told = f"image {sizes[0]} and label {sizes[1]} differ in {' and '.join(differ)}"
            self._found(Kind.PAIR, f"{told}: {turned}" if turned else told)
        elif turned:
            look = "`segnas check --sheet` shows whether it was drawn so"
            self._found(Kind.GEOMETRY, f"{turned}: {look}")

    def _image(self, volume: nib.Nifti1Image) -> np.ndarray | None:
        """(C, D, H, W)."""
        if (values := self._values(volume, self.case.image)) is None:
            return None
        path, channels = files_of(self.case.image)[0], channels_first(values)
        if (found := len(channels)) != (expected := len(self.source.modalities)):
            self._found(
                Kind.CHANNELS,
                f"{_short(path)} has {found} channels; {self.expecting} expects {expected}",
            )
        if values.dtype.kind == "f" and (bad := _not_finite(values)):
            self._found(
                Kind.NOT_FINITE,
                f"{_short(path)} has {bad} voxels that are NaN or infinite; expected finite "
                "numbers",
            )
            return None
        self._doubt_header(volume)
        for index, channel in enumerate(channels):
            which = f" in channel {index}" if len(channels) > 1 else ""
            if (low := channel.min()) == channel.max():
                self._found(Kind.CONSTANT, f"image is {low.item():.7g} everywhere{which}")
            elif told := far_voxels(channel):
                self._found(Kind.OUTLIER, f"image{which} has {told}")
        return channels

    def _doubt_header(self, volume: nib.Nifti1Image) -> None:
        for told in doubts(volume, self.rule):
            self._found(Kind.GEOMETRY, told)
        if unit := unit_not_mm(volume):
            size = by(np.array(oriented_spacing(affine_of(volume, self.rule), AXES)))
            self._found(Kind.UNIT, f"the header's unit is the {unit}: voxels are {size} mm")

    def _label(self, volume: nib.Nifti1Image) -> np.ndarray | None:
        """(D, H, W) class numbers."""
        path = self.case.label
        if (values := self._values(volume, path)) is None:
            return None
        if values.ndim != 3:
            self._found(
                Kind.UNREADABLE,
                f"label has {volume.ndim} axes, expected 3: a class number a voxel "
                f"({_short(path)})",
            )
            return None
        nearest, close = nearest_classes(values)
        ignore = self.source.targets.ignore
        ignored = np.False_ if ignore is None else nearest == ignore
        good = close & (((nearest >= 0) & (nearest < self._count)) | ignored)
        if not good.all():
            or_ignored = "" if ignore is None else f", or {ignore} to be ignored"
            mask = " (a mask? write 1 for 255)" if set(np.unique(values)) == {0, 255} else ""
            self._found(
                Kind.LABEL_VALUES,
                f"label has the values {digits(values[~good])}{mask}, but {self.expecting} expects "
                f"0 to {self._count - 1}{or_ignored} ({_short(path)})",
            )
            return None
        self._doubt_label(volume, values, nearest)
        if not np.logical_and(nearest, ~ignored).any():
            what = "to be ignored throughout" if np.all(ignored) else "background alone"
            self._found(Kind.EMPTY, f"label is {what}")
        return nearest.astype(np.int64)

    def _doubt_label(
        self, volume: nib.Nifti1Image, values: np.ndarray, nearest: np.ndarray
    ) -> None:
        rounded = values[values != nearest]
        stored = volume.dataobj  # its scale is not in nibabel's types; other formats have none
        slope, inter = getattr(stored, "slope", 1), getattr(stored, "inter", 0)
        scaled = f" (scaled by {slope:.7g}, plus {inter:.7g})" if (slope, inter) != (1, 0) else ""
        if rounded.size:
            told = f"label has {digits(rounded)}{scaled}, rounded to whole numbers"
            self._found(Kind.STORED, told)
        elif scaled:
            self._found(Kind.STORED, f"label has a scale factor in its header{scaled}")

    def _found(self, kind: Kind, message: str) -> None:
        self.findings.append(Finding(case=self.case.name, kind=kind, message=message))


def _turned(image: nib.Nifti1Image, label: nib.Nifti1Image) -> str:
    """What is said of a picture where one of the two has an EXIF orientation."""
    if is_turned(image) == is_turned(label):
        return ""
    one, other = ("image", "label") if is_turned(image) else ("label", "image")
    return f"the {one} is turned by its EXIF orientation, the {other} is not"


def _not_finite(values: np.ndarray) -> int:
    """How many are no number, or infinite, as single precision: that of a network's input."""
    with np.errstate(over="ignore"):
        return int(np.count_nonzero(~np.isfinite(values.astype(np.float32, copy=False))))


def _told(error: Warning | Exception | str, image: Image) -> str:
    told = str(error)
    for path in files_of(image):
        told = told.replace(str(path), _short(path))
    return told


def _is_there(path: Path) -> bool:
    """Also as a link to nothing, which is no missing case: reading it says what it is."""
    return path.exists() or path.is_symlink()


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
