"""The downloads of the papers' data sets in small: true names, folders, types, values, quirks."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.trainers.oracle import write

SHAPE = (40, 36, 20)
CT_AFFINE = np.array([[-0.78, 0, 0, 150], [0, 0.78, 0, -140], [0, 0, 3, -700], [0, 0, 0, 1.0]])


def organs(count: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """uint8 (D, H, W): classes 1 to `count`, each a box; most of it is background."""
    label = np.zeros(shape, np.uint8)
    side, height = shape[0] // 5, shape[1] // 5
    for index in range(count):
        x, y = 2 + index % 4 * (side + 1), 2 + index // 4 * (height + 1)
        label[x : x + side, y : y + height, shape[2] // 4 : -(shape[2] // 4)] = index + 1
    return label


def ct(label: np.ndarray, seed: int) -> np.ndarray:
    """int16 Hounsfield units: a body in air, organs in it, a bone, padding below air."""
    rng = np.random.default_rng(seed)
    values = rng.normal(40, 15, label.shape) + 12 * label
    values[0] = values[-1] = -1024
    values[:, :2] = -2000  # outside of the scanner's circle
    values[-4, -4] = 1400
    return np.round(values).astype(np.int16)


def btcv(raw: Path) -> None:
    """30 scans of 13 organs, numbered 1 to 10 and 21 to 40."""
    label = organs(13)
    for number in (*range(1, 11), *range(21, 41)):
        training = raw / "Training"
        image = ct(label, number)
        write(training / "img" / f"img{number:04d}.nii.gz", image, CT_AFFINE)
        write(training / "label" / f"label{number:04d}.nii.gz", label, CT_AFFINE)


def amos22(raw: Path) -> None:
    """CT below 501, MRI above; each in a training and a validation folder."""
    for end, numbers in (("Tr", (4, 5, 7, 507)), ("Va", (8, 13, 600))):
        for number in numbers:
            label, name = organs(15), f"amos_{number:04d}.nii.gz"
            write(raw / f"images{end}" / name, ct(label, number), np.diag([1.0, 1.0, 5.0, 1.0]))
            write(raw / f"labels{end}" / name, label, np.diag([1.0, 1.0, 5.0, 1.0]))


def abdomenct1k(raw: Path) -> None:
    """Images in parts, with nnU-Net's channel in their names; labels of plain names, not of all."""
    for number in range(1, 6):
        label, name = organs(4), f"Case_{number:05d}"
        part = raw / f"AbdomenCT-1K-ImagePart{number % 2 + 1}"
        write(part / f"{name}_0000.nii.gz", ct(label, number), CT_AFFINE)
        write(raw / "Mask" / f"{name}.nii.gz", label, CT_AFFINE)
    write(raw / "AbdomenCT-1K-ImagePart1" / "Case_01001_0000.nii.gz", ct(label, 9), CT_AFFINE)


def brats(raw: Path, count: int = 8) -> None:
    """Task01 of the Decathlon: four modalities in one 4D file, exact zeros outside of the brain."""
    for number in range(1, count + 1):
        rng, name = np.random.default_rng(number), f"BRATS_{number:03d}.nii.gz"
        label = organs(3)
        image = rng.normal(400, 60, (*SHAPE, 4)) * [1.0, 2.0, 0.7, 1.5] + 90 * label[..., None]
        image[:5] = image[-5:] = image[:, :4] = 0
        label[:5] = 0
        write(raw / "imagesTr" / name, np.float32(np.maximum(image, 0)), np.eye(4))
        write(raw / "labelsTr" / name, label, np.eye(4))
    described = {
        "name": "BRATS",
        "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {
            "0": "background",
            "1": "edema",
            "2": "non-enhancing tumor",
            "3": "enhancing tumour",
        },
        "training": [
            {"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"}
            for name in (f"BRATS_{number:03d}.nii.gz" for number in range(1, count + 1))
        ],
        "test": ["./imagesTs/BRATS_485.nii.gz"],
    }
    (raw / "dataset.json").write_text(json.dumps(described))


def acdc(raw: Path) -> None:
    """Two frames of a patient beside a film; 10 mm between slices, intensities of no unit."""
    affine = np.diag([-1.5, -1.5, 10.0, 1.0])
    for patient, last in ((1, 12), (4, 15), (5, 13), (6, 16), (89, 10), (2, 12)):
        folder, label = raw / "training" / f"patient{patient:03d}", organs(3, (44, 40, 8))
        for frame in (1, last):
            rng = np.random.default_rng(100 * patient + frame)
            image = np.abs(rng.normal(90, 30, label.shape) + 60 * label)
            image[3, 3, 3] = 3000  # a vessel, far above the 99.5th percentile
            name = f"patient{patient:03d}_frame{frame:02d}"
            write(folder / f"{name}.nii.gz", image.astype(np.int16), affine)
            write(folder / f"{name}_gt.nii.gz", label, affine)
        write(folder / f"patient{patient:03d}_4d.nii.gz", np.zeros((4, 4, 2, 3), np.int16), affine)
        (folder / "Info.cfg").write_text(f"ED: 1\nES: {last}\nGroup: DCM\n")


def isic2018(raw: Path) -> None:
    """Photographs of many sizes, masks of 0 and 255."""
    images = raw / "ISIC2018_Task1-2_Training_Input"
    masks = raw / "ISIC2018_Task1_Training_GroundTruth"
    for folder in (images, masks):
        folder.mkdir(parents=True)
        (folder / "ATTRIBUTION.txt").write_text("CC-0")
    for number in range(10):
        rng, size = np.random.default_rng(number), (90 + 5 * number, 120)
        mask = np.zeros(size, np.uint8)
        mask[30:60, 40:90] = 255
        pixels = rng.normal(180, 12, (*size, 3)) - (mask[..., None] > 0) * [60, 90, 80]
        name = f"ISIC_{number:07d}"
        Image.fromarray(np.uint8(np.clip(pixels, 0, 255))).save(images / f"{name}.jpg")
        Image.fromarray(mask).save(masks / f"{name}_segmentation.png")


def camus(raw: Path) -> None:
    """Plane images of 8 bits, two views and two moments of a patient, beside whole sequences."""
    affine = np.diag([0.308, 0.308, 1.0, 1.0])
    for patient in range(1, 9):
        folder = raw / "database_nifti" / f"patient{patient:04d}"
        for number, name in enumerate(("2CH_ED", "2CH_ES", "4CH_ED", "4CH_ES")):
            rng = np.random.default_rng(10 * patient + number)
            label = organs(3, (90, 80, 8))[..., 4]
            image = np.uint8(np.clip(rng.exponential(30, label.shape) + 30 * label, 0, 255))
            stem = f"patient{patient:04d}_{name}"
            write(folder / f"{stem}.nii.gz", image, affine)
            write(folder / f"{stem}_gt.nii.gz", label, affine)
        write(folder / f"patient{patient:04d}_2CH_half_sequence.nii.gz", image, affine)


def luna16(raw: Path) -> None:
    """MetaImages, LPS; nodules as points and diameters in mm. The last scan has none."""
    rows = ["seriesuid,coordX,coordY,coordZ,diameter_mm"]
    for number in range(10):
        uid = f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{number}"
        folder = raw / f"subset{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        values = rng.normal(-850, 30, SHAPE)
        if number < 9:
            values[18:23, 16:21, 8:12] = 30
            rows.append(f"{uid},{-150 + 20 * 0.7},{-120 + 18 * 0.7},{-300 + 9.5 * 1.25},4.2")
        (folder / f"{uid}.raw").write_bytes(values.T.astype("<i2").tobytes())
        (folder / f"{uid}.mhd").write_text(
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
            "Offset = -150.0 -120.0 -300.0\nCenterOfRotation = 0 0 0\n"
            "AnatomicalOrientation = RAI\nElementSpacing = 0.7 0.7 1.25\n"
            f"DimSize = {SHAPE[0]} {SHAPE[1]} {SHAPE[2]}\nElementType = MET_SHORT\n"
            f"ElementDataFile = {uid}.raw\n"
        )
    (raw / "annotations.csv").write_text("\n".join(rows) + "\n")


WRITERS: dict[str, Callable[[Path], None]] = {
    "btcv": btcv,
    "synapse": btcv,
    "amos22": amos22,
    "abdomenct1k": abdomenct1k,
    "brats": brats,
    "acdc": acdc,
    "isic2018": isic2018,
    "camus": camus,
    "luna16": luna16,
}
