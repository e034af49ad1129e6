"""A miniature of BraTS: tumours whose parts lie in each other, scored as regions that overlap."""

import json
from pathlib import Path

import numpy as np

from tests.trainers.data.volumes import write_nifti
from trainers.volumes.targets import Region, Targets

CLASSES = ("background", "edema", "necrosis", "enhancing")
KEYS = {"WT": [1, 2, 3], "TC": [2, 3], "ET": [3]}  # `data.regions`
REGIONS = (Region("WT", (1, 2, 3), 1), Region("TC", (2, 3), 2), Region("ET", (3,), 3))
IGNORE = 9
TARGETS = Targets(CLASSES, REGIONS, IGNORE)


def tumour(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """uint8: edema around necrosis around what enhances."""
    middle = [n / 2 + rng.uniform(-1, 1) for n in shape]
    grid = np.indices(shape, float)
    far = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, middle, strict=True)))
    inner = min(shape) / 2 * rng.uniform(0.8, 0.95)
    return sum((far < share * inner).astype(np.uint8) for share in (1.0, 0.7, 0.4))


def write_tumours(
    folder: Path, cases: int = 6, shape: tuple[int, int, int] = (16, 16, 16), ignore: bool = False
) -> Path:
    """A data set whose images are brighter further in; `ignore`: a fifth of each label is so."""
    rng = np.random.default_rng(0)
    names = [f"case_{number}" for number in range(cases)]
    for name in names:
        label = tumour(shape, rng)
        image = 100.0 * label + rng.normal(0, 20, shape)
        if ignore:
            label[: shape[0] // 5] = IGNORE
        write_nifti(folder / "imagesTr" / f"{name}.nii.gz", image.astype(np.float32))
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", label)
    descriptor = {
        "name": "tumours",
        "modality": {"0": "MRI"},
        "labels": {str(value): name for value, name in enumerate(CLASSES)},
    }
    (folder / "dataset.json").write_text(json.dumps(descriptor))
    return folder


def dice_oracle(predicted: np.ndarray, truth: np.ndarray) -> list[float]:
    """Of WT, TC and ET, where the truth is not ignored, by counting voxels."""
    counted = truth != IGNORE
    scores = []
    for labels in KEYS.values():
        p, t = (np.isin(one, labels) & counted for one in (predicted, truth))
        total = int(p.sum()) + int(t.sum())
        scores.append(2 * int((p & t).sum()) / total if total else float("nan"))
    return scores
