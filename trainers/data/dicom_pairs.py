"""DICOM series and what outlines them, as NIfTI files in a folder of their own."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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


def write_pairs(images: Path, labels: Path, classes: Sequence[str] | None, folder: Path) -> None:
    """Write every series below `images` that a SEG or RTSTRUCT below `labels` refers to.

    Into `folder`: images and labels as NIfTI, the table of them with a patient's cases as one
    group, and dataset.json. `classes`: the names of what is outlined, in any case, the background
    first; by default all that there are, the largest first. Where two overlap, the later one
    counts. A series may lie in several folders. Raises UserError where there is none, labels refer
    to a series that is not there, or series are of several modalities.
    """
    series = by_uid(find_series(images, told=False))
    of_series: dict[str, list[LabelFile]] = defaultdict(list)
    for label in find_labels(labels):
        of_series[label.series].append(label)
    if not of_series:
        raise UserError(f"{labels} has no DICOM SEG and no RTSTRUCT; expected one for each case")
    if lost := [str(own[0].path) for uid, own in of_series.items() if uid not in series]:
        raise UserError(
            f"{listed(lost, SHOWN)}: the series that it is of is not below {images}; add it, or "
            "remove the file"
        )
    classes = classes or ("background", *_by_size(of_series, series))
    rows, modalities = [], set()
    for uid, own in of_series.items():
        whole = joined(series[uid])
        slices = read_series(whole)
        with damage_told(f"series {whole.name}"):
            header = slices.headers[0]
            modalities.add(str(header.Modality))
            row = _write_pair(whole, slices, own, classes, folder)
            rows.append({**row, "group": str(header.get("PatientID") or row["case"])})
    if len(modalities) > 1:
        found = ", ".join(sorted(modalities))
        raise UserError(f"{images} has series of {found}; expected one kind")
    with (folder / TABLE).open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    facts = {
        "channel_names": {"0": modalities.pop()},
        "labels": {str(number): name for number, name in enumerate(classes)},
    }
    (folder / DESCRIPTOR).write_text(json.dumps(facts))


def _write_pair(
    series: Series,
    slices: Slices,
    labels: Sequence[LabelFile],
    classes: Sequence[str],
    folder: Path,
) -> Mapping[str, str]:
    """The row of the table."""
    numbers = {name.casefold(): number for number, name in enumerate(classes)}
    masks = [
        (numbers[name.casefold()], mask)
        for label in labels
        for name, mask in read_masks(label, slices, numbers).items()
    ]
    values = np.zeros(slices.volume.shape, label_type(len(classes)))
    for number, mask in sorted(masks, key=lambda pair: pair[0]):
        values[mask] = number
    row = {part: f"{part}s/{series.name}.nii.gz" for part in ("image", "label")}
    for file in row.values():
        (folder / file).parent.mkdir(exist_ok=True)
    save_as_nifti(slices, folder / row["image"])
    save_segmentation(values, like=folder / row["image"], to=folder / row["label"])
    sources = (*series.files, *(label.path for label in labels))
    newest = max(source.stat().st_mtime_ns for source in sources)
    for file in row.values():  # so that they are the same when they are made again
        os.utime(folder / file, ns=(newest, newest))
    return {**row, "case": series.name}


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
        whole = joined(series[uid])
        slices = read_series(whole)
        with damage_told(f"series {whole.name}"):
            for label in own:
                for name, mask in read_masks(label, slices, wanted).items():
                    share = float(mask.mean())
                    sizes[name.casefold()] = max(share, sizes.get(name.casefold(), 0.0))
        sizes = {**dict.fromkeys(wanted, 0.0), **sizes}
    return [names[name] for name in sorted(names, key=lambda name: (-sizes[name], name))]


def _all_names(of_series: Mapping[str, Sequence[LabelFile]]) -> list[str]:
    """Each once, whatever its case."""
    names = {
        name.casefold(): name
        for labels in of_series.values()
        for label in labels
        for name in label.names
    }
    return [names[key] for key in sorted(names)]
