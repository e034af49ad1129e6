"""The same cases in the layouts of other tools: what `write_msd` wrote, written again."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from trainers.volumes.files import has_ending

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # of ITK's millimetres


def write_volume(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """(D, H, W) or (D, H, W, C) in the format of the file's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if has_ending(path, (".nii", ".nii.gz")):
        nib.save(nib.Nifti1Image(values, affine), path)
        return
    import SimpleITK

    channels = values.ndim == 4
    axes = (2, 1, 0, 3)[: values.ndim]
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values.transpose(axes)), channels)
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(path))


def nnunet_of(msd: Path, folder: Path, ending: str = ".nii.gz", **keys: object) -> Path:
    """nnU-Net's raw folder; `keys` of dataset.json are changed, those that are None left out."""
    told = json.loads((msd / "dataset.json").read_text())
    for name in names_of(msd):
        for channel, values, affine in channels_of(msd, name):
            write_volume(folder / "imagesTr" / f"{name}_{channel:04}{ending}", values, affine)
        label = nib.load(msd / "labelsTr" / f"{name}.nii.gz")
        values = np.asarray(label.dataobj)
        write_volume(folder / "labelsTr" / f"{name}{ending}", values, label.affine)
    descriptor = {
        "channel_names": told["modality"],
        "labels": {label: int(number) for number, label in told["labels"].items()},
        "numTraining": len(names_of(msd)),
        "file_ending": ending,
    } | keys
    kept = {key: value for key, value in descriptor.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(kept))
    return folder


def table_of(msd: Path, file: Path, rows: Sequence[dict[str, str]] | None = None) -> Path:
    """A CSV table of the files where they lie, a file for each case; `rows` are written instead."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = rows or [pair_of(msd, name) for name in names_of(msd)]
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return file


def datalist_of(msd: Path, file: Path, **keys: object) -> Path:
    """A datalist of the files where they lie; `keys` are added."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = json.loads((msd / "dataset.json").read_text())
    facts = {key: told[key] for key in ("labels", "modality")}
    training = [pair_of(msd, name) for name in names_of(msd)]
    file.write_text(json.dumps(facts | {"training": training} | keys))
    return file


def pair_of(msd: Path, name: str) -> dict[str, str]:
    parts = {"image": "imagesTr", "label": "labelsTr"}
    return {key: str(msd / folder / f"{name}.nii.gz") for key, folder in parts.items()}


def names_of(msd: Path) -> list[str]:
    return sorted(file.name.removesuffix(".nii.gz") for file in (msd / "labelsTr").iterdir())


def channels_of(msd: Path, name: str) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Number, (D, H, W) and affine of each channel of a case."""
    image = nib.load(msd / "imagesTr" / f"{name}.nii.gz")
    values = np.asarray(image.dataobj)
    channels = values[..., None] if values.ndim == 3 else values
    return [(n, channels[..., n], image.affine) for n in range(channels.shape[-1])]
