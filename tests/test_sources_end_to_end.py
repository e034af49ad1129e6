"""Every layout and format through the command line: search, pick, retrain, evaluate, use."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image

from tests.trainers.data.layouts import datalist_of, names_of, nnunet_of, pair_of, table_of
from tests.trainers.data.volumes import write_nifti

SEGNAS = [sys.executable, "-m", "nas"]
CLASSES = ["background", "liver", "aorta", "adrenal"]
SMALL = {
    "space": {"name": "hybrid", "restrict": {"width": [4, 6], "levels": [3]}},
    "train": {"patch": [16, 16, 16], "epochs": 1, "steps_per_epoch": 6},
    "retrain": {"epochs": 1},
    "objectives": ["dice", "params"],
    "search": {"trials": 2, "early_stopping": None, "confirm": 0, "baselines": []},
    "tracking": {"enabled": False},
}


def segnas(*arguments: str | Path) -> str:
    done = subprocess.run([*SEGNAS, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def two_channels(msd: Path, folder: Path) -> Path:
    """The phantoms with a second channel, their negative."""
    for name in names_of(msd):
        image = nib.load(msd / "imagesTr" / f"{name}.nii.gz")
        values = np.asarray(image.dataobj)
        write_nifti(
            folder / "imagesTr" / f"{name}.nii.gz", np.stack([values, -values], -1), image.affine
        )
        label = nib.load(msd / "labelsTr" / f"{name}.nii.gz")
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", np.asarray(label.dataobj), label.affine)
    told = json.loads((msd / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(told | {"modality": {"0": "CT", "1": "neg"}}))
    return folder


def nnunet(msd, folder, ending=".nii.gz"):
    made = nnunet_of(two_channels(msd, folder / "msd"), folder / "Dataset001", ending)
    names = names_of(msd)
    folds = [{"train": names[1:], "val": names[:1]}, {"train": names[:4], "val": names[4:]}]
    (made / "splits_final.json").write_text(json.dumps(folds))
    data = {"source": "nnunet", "path": str(made), "split": {"fold": 1}}
    return data, made / "imagesTr", made / "labelsTr", {}


def mha(msd, folder):
    pytest.importorskip("SimpleITK")
    return nnunet(msd, folder, ".mha")


def table(msd, folder):
    parts = ["training"] * 4 + ["validation", "test"]
    rows = [
        pair_of(msd, name) | {"split": part, "group": name}
        for name, part in zip(names_of(msd), parts, strict=True)
    ]
    path = table_of(msd, folder / "cases.csv", rows)
    data = {"source": "csv", "path": str(path), "classes": CLASSES}
    return data, msd / "imagesTr", msd / "labelsTr", {}


def datalist(msd, folder):
    pairs = [pair_of(msd, name) | {"fold": n % 3} for n, name in enumerate(names_of(msd))]
    path = datalist_of(msd, folder / "list.json", training=pairs)
    data = {"source": "datalist", "path": str(path), "split": {"fold": 2}}
    return data, msd / "imagesTr", msd / "labelsTr", {}


def pictures(msd, folder):
    """The middle slices in colours."""
    for name in names_of(msd):
        for part, end in (("imagesTr", "_0000.png"), ("labelsTr", ".png")):
            (folder / part).mkdir(exist_ok=True)
            volume = np.asarray(nib.load(msd / part / f"{name}.nii.gz").dataobj)
            slice_ = volume[:, :, volume.shape[2] // 2].T
            if part == "imagesTr":
                grey = np.clip((slice_ + 175.0) * 0.6, 0, 255).astype(np.uint8)
                slice_ = np.stack([grey, 255 - grey, grey // 2], axis=-1)
            Image.fromarray(slice_).save(folder / part / f"{name}{end}")
    told = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {name: number for number, name in enumerate(CLASSES)},
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(told))
    data = {"source": "nnunet", "path": str(folder)}
    return data, folder / "imagesTr", folder / "labelsTr", {"train": {"patch": [32, 32, 1]}}


def dicom(msd, folder):
    pytest.importorskip("highdicom")
    from tests.trainers.data.test_dicom_source import write_seg
    from tests.trainers.dicom_series import write_series

    for number, name in enumerate(names_of(msd)):
        image, label = (
            np.asarray(nib.load(msd / part / f"{name}.nii.gz").dataobj)
            for part in ("imagesTr", "labelsTr")
        )
        place = folder / "archive" / name
        write_series(place / "ct", image // 2 * 2.0, PatientID=f"p{number // 2}")
        write_seg(place, label, CLASSES)
    data = {"source": "dicom", "path": str(folder / "archive"), "classes": CLASSES}
    data["split"] = {"validation": 0.34}
    return data, folder / "archive", folder / "archive", {}


@pytest.mark.slow
@pytest.mark.parametrize("layout", [nnunet, mha, table, datalist, pictures, dicom])
def test_a_network_is_searched_retrained_evaluated_and_used(phantom_folder, tmp_path, layout):
    data, images, labels, changes = layout(phantom_folder, tmp_path)
    train = SMALL["train"] | changes.get("train", {})
    (file := tmp_path / "search.yaml").write_text(
        yaml.safe_dump({"name": "s", "data": data} | SMALL | {"train": train})
    )
    run, out = tmp_path / "run", tmp_path / "out"
    segnas("search", file, "--dir", run)
    assert json.loads((run / "front.json").read_text())["members"]
    segnas("export", run, "--pick", "best-dice", "--to", out)
    segnas("retrain", out)
    told = json.loads(segnas("evaluate", out, "--images", images, "--labels", labels, "--json"))
    assert told["network"].startswith("retrained weights")
    assert len(told["cases"]) == 6
    assert told["dice_per_class"].keys() == set(CLASSES[1:])
    segnas("predict", out, "--images", images, "--to", tmp_path / "segmented")
    assert len(list((tmp_path / "segmented").iterdir())) == 6
