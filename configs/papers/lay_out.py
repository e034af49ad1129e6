"""The published downloads in the layout that the recipes here read.

    python configs/papers/lay_out.py btcv ~/Downloads/RawData data/BTCV

makes dataset.json, imagesTr and labelsTr (Medical Segmentation Decathlon) in the new folder:
links to files that can stay as they are, and new files of the others. BraTS needs none of it: the
recipes take Task01_BrainTumour of the Decathlon, which lies so already.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

ORGANS = [
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach"),
    *("aorta", "inferior vena cava", "portal and splenic veins", "pancreas"),
    *("right adrenal gland", "left adrenal gland"),
]
EIGHT = [1, 2, 3, 4, 6, 7, 8, 11]  # of ORGANS, counted from 1: those that TransUNet segments
AMOS = [
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach"),
    *("aorta", "inferior vena cava", "pancreas", "right adrenal gland", "left adrenal gland"),
    *("duodenum", "bladder", "prostate or uterus"),
]
SIDE = 256  # of an image of ISIC, as APFormer has it
# Patients of ACDC by the split of nnFormer (Zhou 2023), which LightMedSeg follows; others train.
VALIDATION = {89, 90, 91, 93, 94, 96, 97, 98, 99, 100}
TEST = {2, 3, 8, 9, 12, 14, 17, 24, 42, 48, 49, 53, 55, 64, 67, 79, 81, 88, 92, 95}

Volume = Path | nib.Nifti1Image  # a file that is linked, or an image that is written


class Case(NamedTuple):
    """`part`: of the published split, where it goes by the download or by numbers."""

    name: str
    image: Volume
    label: Volume
    part: str = ""


@dataclass(frozen=True)
class Layout:
    """How a download is read, and what its images and labels show."""

    cases: Callable[[Path], Iterator[Case]]
    classes: list[str]
    modalities: tuple[str, ...] = ("CT",)


def btcv(raw: Path) -> Iterator[Case]:
    """Training/img/img0001.nii.gz, Training/label/label0001.nii.gz; 13 organs."""
    for image in sorted(raw.glob("Training/img/img*.nii.gz")):
        number = image.name.removeprefix("img")
        label = raw / "Training" / "label" / f"label{number}"
        yield Case(f"case{number[:4]}", image, label)


def synapse(raw: Path) -> Iterator[Case]:
    """The same download; of the 13 organs eight are kept, numbered 1 to 8 in their order."""
    new = np.zeros(len(ORGANS) + 1, np.uint8)
    new[EIGHT] = range(1, len(EIGHT) + 1)
    for case in btcv(raw):
        thirteen = nib.load(case.label)
        eight = new[np.asarray(thirteen.dataobj).astype(np.intp)]
        yield case._replace(label=nib.Nifti1Image(eight, thirteen.affine))


def amos22(raw: Path) -> Iterator[Case]:
    """imagesTr and labelsTr, imagesVa and labelsVa; numbers above 500 are MRI and left out."""
    for end, part in (("Tr", "training"), ("Va", "validation")):
        for image in sorted(raw.glob(f"images{end}/amos_*.nii.gz")):
            if number_of(image.name) <= 500:
                yield Case(case_of(image), image, raw / f"labels{end}" / image.name, part)


def abdomenct1k(raw: Path) -> Iterator[Case]:
    """Case_00001_0000.nii.gz in folders of images, Case_00001.nii.gz in Mask; 62 of the 1,062
    images have no mask there."""
    lost = []
    for image in sorted(raw.glob("**/Case_*_0000.nii.gz")):
        name = case_of(image).removesuffix("_0000")
        if (mask := raw / "Mask" / f"{name}.nii.gz").exists():
            yield Case(name, image, mask)
        else:
            lost.append(image.name)
    if lost:
        told = "1 image has no mask" if len(lost) == 1 else f"{len(lost)} images have no mask"
        print(f"{told} in Mask, left out: {', '.join(lost)}", file=sys.stderr)


def acdc(raw: Path) -> Iterator[Case]:
    """training/patient001/patient001_frame01.nii.gz with ..._gt.nii.gz; not the films, 4D."""
    for label in sorted(raw.glob("training/patient*/patient*_frame*_gt.nii.gz")):
        name = case_of(label).removesuffix("_gt")
        number = number_of(name)
        part = "validation" if number in VALIDATION else "test" if number in TEST else "training"
        yield Case(name, label.with_name(f"{name}.nii.gz"), label, part)


def isic2018(raw: Path) -> Iterator[Case]:
    """Task 1 or 2: ISIC_0000000.jpg and ISIC_0000000_segmentation.png, scaled to 256 x 256.

    Both are turned by their EXIF orientation, as segnas turns pictures.
    """
    from PIL import Image, ImageOps

    for file in sorted(raw.glob("*_Training_Input/ISIC_*.jpg")):
        [mask] = raw.glob(f"*_Training_GroundTruth/{file.stem}_segmentation.png")
        image, label = (ImageOps.exif_transpose(Image.open(one)) for one in (file, mask))
        if image.size != label.size:
            raise SystemExit(f"{file} is {image.size}, but {mask.name} {label.size} pixels")
        colours = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        lesion = label.convert("L").resize((SIDE, SIDE), Image.Resampling.NEAREST)
        yield Case(file.stem, flat(np.asarray(colours)), flat(np.asarray(lesion) > 127))


def flat(pixels: np.ndarray) -> nib.Nifti1Image:
    """(H, W) or (H, W, C) as a volume of one slice along the first axis."""
    return nib.Nifti1Image(pixels[None].astype(np.uint8), np.eye(4))


def camus(raw: Path) -> Iterator[Case]:
    """database_nifti/patient0001/patient0001_2CH_ED.nii.gz with ..._gt.nii.gz; both views, end of
    diastole and of systole."""
    for label in sorted(raw.glob("database_nifti/patient*/patient*_?CH_E[DS]_gt.nii.gz")):
        name = case_of(label).removesuffix("_gt")
        yield Case(name, one_slice(label.with_name(f"{name}.nii.gz")), one_slice(label))


def one_slice(file: Path) -> nib.Nifti1Image:
    """A plane image as a volume of one slice, 1 mm thick, along the third axis."""
    image = nib.load(file)
    pixels = np.asarray(image.dataobj)
    sizes = [float(size) for size in image.header["pixdim"][1:3]]
    return nib.Nifti1Image(pixels.reshape(*pixels.shape[:2], 1), np.diag([*sizes, 1.0, 1.0]))


def luna16(raw: Path) -> Iterator[Case]:
    """subset0/UID.mhd and others, annotations.csv; a nodule is the ball of its diameter."""
    nodules: dict[str, list[list[float]]] = {}
    with (raw / "annotations.csv").open(newline="") as file:
        for uid, *numbers in list(csv.reader(file))[1:]:
            nodules.setdefault(uid, []).append([float(number) for number in numbers])
    for header in sorted(raw.glob("subset*/*.mhd")):
        image = read_mhd(header)
        label = np.zeros(image.shape, np.uint8)
        for *centre, diameter in nodules.get(header.stem, []):
            fill_ball(label, image.affine, np.array(centre) * [-1, -1, 1], diameter)
        yield Case(header.stem, image, nib.Nifti1Image(label, image.affine))


def read_mhd(header: Path) -> nib.Nifti1Image:
    """A MetaImage of 16-bit numbers, (D, H, W) in RAS+, mm."""
    told = dict(re.findall(r"^(\w+)\s*=\s*(.*?)\s*$", header.read_text(), re.MULTILINE))
    content = (header.parent / told["ElementDataFile"]).read_bytes()
    if told.get("CompressedData") == "True":
        content = zlib.decompress(content)
    size, spacing, offset, turn = (
        np.array(told[key].split(), float)
        for key in ("DimSize", "ElementSpacing", "Offset", "TransformMatrix")
    )
    values = np.frombuffer(content, "<i2").reshape(size.astype(int)[::-1]).T
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn.reshape(3, 3).T * spacing, offset
    return nib.Nifti1Image(values, np.diag([-1, -1, 1, 1]) @ affine)  # LPS to RAS


def fill_ball(label: np.ndarray, affine: np.ndarray, centre: np.ndarray, diameter: float) -> None:
    """Set the voxels (D, H, W) whose middle is within half the diameter of a point in mm."""
    middle = np.linalg.solve(affine, [*centre, 1])[:3]
    reach = diameter / 2 / np.linalg.norm(affine[:3, :3], axis=0)
    first = np.maximum(np.floor(middle - reach), 0).astype(int)
    last = np.minimum(np.ceil(middle + reach) + 1, label.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    voxels = np.moveaxis(np.mgrid[box], 0, -1)
    away = np.linalg.norm((voxels - middle) @ affine[:3, :3].T, axis=-1)
    label[box][away <= diameter / 2] = 1


def case_of(file: Path) -> str:
    """The file's name without .nii.gz."""
    return file.name.removesuffix(".nii.gz")


def number_of(name: str) -> int:
    """The first number in the name."""
    return int(re.findall(r"\d+", name)[0])


LAYOUTS = {
    "btcv": Layout(btcv, ORGANS),
    "synapse": Layout(synapse, [ORGANS[number - 1] for number in EIGHT]),
    "amos22": Layout(amos22, AMOS),
    "abdomenct1k": Layout(abdomenct1k, ["liver", "kidney", "spleen", "pancreas"]),
    "acdc": Layout(acdc, ["RV", "Myo", "LV"], ("MRI",)),
    "isic2018": Layout(isic2018, ["lesion"], ("red", "green", "blue")),
    "camus": Layout(camus, ["LV", "Myo", "LA"], ("US",)),
    "luna16": Layout(luna16, ["nodule"]),
}


def lay_out(name: str, raw: Path, to: Path) -> int:
    """Make the folder `to` of the download `raw`; the number of its cases."""
    layout, parts = LAYOUTS[name], dict[str, list[str]]()
    cases = layout.cases(raw)
    if (first := next(cases, None)) is None:
        raise SystemExit(f"{raw} has no cases; expected {layout.cases.__doc__}")
    for folder in ("imagesTr", "labelsTr"):
        (to / folder).mkdir(parents=True)
    for case in chain([first], cases):
        for folder, volume in (("imagesTr", case.image), ("labelsTr", case.label)):
            file = to / folder / f"{case.name}.nii.gz"
            if isinstance(volume, Path):
                file.symlink_to(volume.resolve())
            else:
                nib.save(volume, file)
        parts.setdefault(case.part, []).append(case.name)
    described = {
        "name": name,
        "modality": dict(enumerate(layout.modalities)),
        "labels": dict(enumerate(["background", *layout.classes])),
    }
    (to / "dataset.json").write_text(json.dumps(described, indent=1))
    if "" not in parts:
        (to / "split.json").write_text(json.dumps(parts, indent=1))
    return sum(map(len, parts.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Lay a published download out for the recipes.")
    parser.add_argument("name", choices=LAYOUTS)
    parser.add_argument("raw", type=Path, help="the folder of the download")
    parser.add_argument("to", type=Path, help="a new folder")
    options = parser.parse_args()
    print(f"{options.to}: {lay_out(options.name, options.raw.expanduser(), options.to)} cases")


if __name__ == "__main__":
    main()
