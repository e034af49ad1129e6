"""DICOM series and what outlines them, as NIfTI files in a folder of their own."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.data.check.finding import Finding, Kind, refuse_cases
from trainers.data.msd_descriptor import DESCRIPTOR
from trainers.dicom import (
    Series,
    Slices,
    by_uid,
    damage_told,
    find_series,
    joined,
    read_series,
    save_as_nifti,
)
from trainers.dicom_labels import LabelFile, find_labels, read_masks
from trainers.errors import UserError, listed
from trainers.spreadsheet import cell
from trainers.volumes.labels import label_type
from trainers.volumes.nifti import save_segmentation

TABLE = "cases.csv"
SHOWN = 5  # files
OF_CASE = ": their SEG or RTSTRUCT files, and files that cannot be read"


def write_pairs(images: Path, labels: Path, classes: Sequence[str] | None, folder: Path) -> None:
    """Write every series below `images` that a SEG or RTSTRUCT below `labels` refers to.

    Into `folder`: images and labels as NIfTI, the table of them with a patient's cases as one
    group, and dataset.json. `classes`: the names of what is outlined, in any case, the background
    first; by default all that there are, the largest first. Where two overlap, the later one
    counts. A series may lie in several folders. Raises UserError where there is none, or series are
    of several modalities; and one that lists all series and files that cannot be used.
    """
    series = by_uid(find_series(images, told=False))
    outlines, refused = find_labels(labels)
    of_series: dict[str, list[LabelFile]] = defaultdict(list)
    for label in outlines:
        of_series[label.series].append(label)
    if not of_series and not refused:
        raise UserError(f"{labels} has no DICOM SEG and no RTSTRUCT; expected one for each case")
    known = {uid: own for uid, own in of_series.items() if uid in series}
    of_cases = {file for uid in known for part in series[uid] for file in part.files}
    faults = [_unreadable(why) for file, why in refused.items() if file not in of_cases]
    if lost := [str(own[0].path) for uid, own in of_series.items() if uid not in series]:
        nowhere = f"the series that it is of is not below {images}"
        faults.append(_unreadable(f"{listed(lost, SHOWN)}: {nowhere}"))
    classes = classes or ("background", *_by_size(known, series))
    rows, modalities = [], set()
    for uid, own in known.items():
        try:
            pair = _read_pair(joined(series[uid]), own, classes)
            modalities.add(pair.modality)
            if not faults:  # else it is read for what is wrong with it alone
                rows.append(_write_pair(pair, folder))
        except UserError as error:
            faults.append(_unreadable(str(error), series[uid][0].name))
    refuse_cases(faults, images, len(of_series), OF_CASE)
    if len(modalities) > 1:
        found = ", ".join(sorted(modalities))
        raise UserError(f"{images} has series of {found}; expected one kind")
    _describe(rows, modalities.pop(), classes, folder)


def _describe(
    rows: Sequence[Mapping[str, str]], modality: str, classes: Sequence[str], folder: Path
) -> None:
    """Write the table and dataset.json."""
    with (folder / TABLE).open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    facts = {
        "channel_names": {"0": modality},
        "labels": {str(number): name for number, name in enumerate(classes)},
    }
    (folder / DESCRIPTOR).write_text(json.dumps(facts))


@dataclass(frozen=True)
class _Pair:
    """A series and its `labels`, (slices, rows, columns). `newest`: when the last of its files was
    changed, ns."""

    name: str
    slices: Slices
    labels: np.ndarray
    modality: str
    group: str
    newest: int


def _read_pair(series: Series, outlines: Sequence[LabelFile], classes: Sequence[str]) -> _Pair:
    """Raises UserError where one of the files cannot be used."""
    slices = read_series(series)
    with damage_told(f"series {series.name}"):
        header = slices.headers[0]
        numbers = {name.casefold(): number for number, name in enumerate(classes)}
        masks = [
            (numbers[name.casefold()], mask)
            for label in outlines
            for name, mask in read_masks(label, slices, numbers).items()
        ]
        values = np.zeros(slices.volume.shape, label_type(len(classes)))
        for number, mask in sorted(masks, key=lambda pair: pair[0]):
            values[mask] = number
        files = (*series.files, *(label.path for label in outlines))
        newest = max(file.stat().st_mtime_ns for file in files)
        group = str(header.get("PatientID") or series.name)
        return _Pair(series.name, slices, values, str(header.Modality), group, newest)


def _write_pair(pair: _Pair, folder: Path) -> Mapping[str, str]:
    """The row of the table."""
    row = {part: f"{part}s/{pair.name}.nii.gz" for part in ("image", "label")}
    for file in row.values():
        (folder / file).parent.mkdir(exist_ok=True)
    with damage_told(f"series {pair.name}"):
        save_as_nifti(pair.slices, folder / row["image"])
    save_segmentation(pair.labels, like=folder / row["image"], to=folder / row["label"])
    for file in row.values():  # so that they are the same when they are made again
        os.utime(folder / file, ns=(pair.newest, pair.newest))
    return {**row, "case": pair.name, "group": pair.group}


def _unreadable(why: str, case: str | None = None) -> Finding:
    """A fault, of a case or of a file that belongs to none."""
    told = why.removeprefix(f"series {case} ")
    return Finding(case=case, kind=Kind.UNREADABLE, message=told)


def _by_size(
    of_series: Mapping[str, Sequence[LabelFile]], series: Mapping[str, Sequence[Series]]
) -> list[str]:
    """All names, the largest first, so that what lies in something larger is not lost in it. Sizes
    are those in the first series that has the name, as a share of its voxels."""
    names = {name.casefold(): name for name in _all_names(of_series)}
    sizes: dict[str, float] = {}
    for uid, own in of_series.items():
        wanted = {name.casefold() for label in own for name in label.names} - sizes.keys()
        if not wanted:
            continue
        try:
            slices = read_series(joined(series[uid]))
            with damage_told(f"series {uid}"):
                for label in own:
                    for name, mask in read_masks(label, slices, wanted).items():
                        share = float(mask.mean())
                        sizes[name.casefold()] = max(share, sizes.get(name.casefold(), 0.0))
        except UserError:
            continue  # it is told with the others, and there are no classes then
        sizes = {**dict.fromkeys(wanted, 0.0), **sizes}
    return [names[name] for name in sorted(names, key=lambda name: (-sizes.get(name, 0.0), name))]


def _all_names(of_series: Mapping[str, Sequence[LabelFile]]) -> list[str]:
    """Each once, whatever its case."""
    names = {
        name.casefold(): name
        for labels in of_series.values()
        for label in labels
        for name in label.names
    }
    return [names[key] for key in sorted(names)]
