"""What to write beside a folder of images and one of labels that nothing describes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainers.volumes.files import case_name, volumes_among

IMAGES, LABELS = ("image", "img", "scan", "volume"), ("label", "mask", "seg", "annotation", "gt")
SEE = "docs/own-data.md has all layouts"


def how_to_describe(data: Path) -> str:
    """How to go on, in words, where two folders in `data` have names and volumes of images and of
    labels; empty where there are none."""
    images, labels = (_folder(data, words) for words in (IMAGES, LABELS))
    if images is None or labels is None:
        return ""
    found = f"{data} has images in {images.name} and labels in {labels.name}"
    names = '"labels": {"0": "background", "1": "NAME"}'
    if (images.name, labels.name) == ("imagesTr", "labelsTr"):
        return (
            f"{found}: write {data / 'dataset.json'}, with your modality and classes\n"
            f'{{"modality": {{"0": "MRI"}},\n {names}}}\n{SEE}'
        )
    row = ",".join(f"{file.parent.name}/{file.name}" for file in _pair(images, labels))
    return (
        f"{found}: write {data / 'cases.csv'}, a row for each case\nimage,label\n{row}\n"
        f"and {data / 'dataset.json'}, with your classes\n{{{names}}}\n{SEE}"
    )


def _folder(data: Path, words: Iterable[str]) -> Path | None:
    """The first folder with volumes whose name begins so; `imagesTr` before `imagesTs`."""
    for folder in sorted(one for one in data.iterdir() if one.is_dir()):
        if folder.name.lower().startswith(tuple(words)) and _volumes(folder):
            return folder
    return None


def _pair(images: Path, labels: Path) -> tuple[Path, Path]:
    """The first image with the label of its name, or with the first label."""
    by_name = {case_name(file): file for file in _volumes(labels)}
    for image in _volumes(images):
        if label := by_name.get(case_name(image)):
            return image, label
    return _volumes(images)[0], next(iter(by_name.values()))


def _volumes(folder: Path) -> list[Path]:
    return volumes_among(sorted(folder.iterdir()))
