"""What to write beside images and labels that nothing describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from trainers.volumes.files import case_name, volumes_among

IMAGES, LABELS = ("image", "img", "scan", "volume"), ("label", "mask", "seg", "annotation", "gt")
NAMES = '"labels": {"0": "background", "1": "NAME"}'
SEPARATORS = "_-. "
SEE = "docs/own-data.md has all layouts"


def how_to_describe(data: Path) -> str:
    """How to go on, in words, where two folders in `data` have names and volumes of images and of
    labels, or a file beside others has the name of a label; empty where there are none."""
    images, labels = (_folder(data, words) for words in (IMAGES, LABELS))
    if images is None or labels is None:
        return _side_by_side(data)
    found = f"{data} has images in {images.name} and labels in {labels.name}"
    if (images.name, labels.name) == ("imagesTr", "labelsTr"):
        return (
            f"{found}: write {data / 'dataset.json'}, with your modality and classes\n"
            f'{{"modality": {{"0": "MRI"}},\n {NAMES}}}\n{SEE}'
        )
    return _table(data, found, ["image", "label"], _pair(images, labels))


def _table(data: Path, found: str, columns: Sequence[str], files: Iterable[Path]) -> str:
    """`files`: a row of the table."""
    row = ",".join(file.relative_to(data).as_posix() for file in files)
    return (
        f"{found}: write {data / 'cases.csv'}, a row for each case\n{','.join(columns)}\n{row}\n"
        f"and {data / 'dataset.json'}, with your classes\n{{{NAMES}}}\n{SEE}"
    )


def _folder(data: Path, words: Iterable[str]) -> Path | None:
    """The first folder with volumes whose name begins so; `imagesTr` before `imagesTs`."""
    for folder in _folders(data):
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


def _side_by_side(data: Path) -> str:
    """Of images beside their labels, in `data` or in a folder for each case in it."""
    for folder in (data, *_folders(data)):
        volumes = _volumes(folder)
        labels = [file for file in volumes if _is_label(file)]
        images = [file for file in volumes if file not in labels]
        if not labels or not images:
            continue
        found = f"{folder} has {images[0].name} beside {labels[0].name}"
        if len(labels) == 1 and len(images) > 1:  # a case, with a file for each channel
            names = [case_name(file) for file in images]
            alike = names[0][: _alike(*names)]
            begin = max(alike.rfind(sign) for sign in SEPARATORS) + 1
            columns = [f"image_{name[begin:]}" for name in names]
            return _table(data, found, [*columns, "label"], [*images, labels[0]])
        nearest = max(images, key=lambda one: _alike(one.name, labels[0].name))
        return _table(data, found, ["image", "label"], [nearest, labels[0]])
    return ""


def _alike(*names: str) -> int:
    """With how many letters all of them begin."""
    return sum(1 for _ in takewhile(lambda letters: len({*letters}) == 1, zip(*names)))  # noqa: B905


def _is_label(file: Path) -> bool:
    words = re.split("[^a-z]+", case_name(file).lower())
    return any(word.startswith(LABELS) for word in words)


def _folders(data: Path) -> list[Path]:
    return sorted(one for one in data.iterdir() if one.is_dir())


def _volumes(folder: Path) -> list[Path]:
    return volumes_among(sorted(folder.iterdir()))
