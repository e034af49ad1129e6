"""Small data sets for the tests."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from trainers.data.config import Preprocess
from trainers.volumes.intensity import robust_zscore
from trainers.volumes.settings import Settings

SHAPE = (12, 14, 10)


def write_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)


def ball(shape: tuple[int, ...], radius: float = 0.6) -> np.ndarray:
    """uint8: class 1 is a ball, class 2 its upper end along the first axis."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    label = (sum(axis**2 for axis in axes) < radius**2).astype(np.uint8)
    label[(label == 1) & (axes[0] > 0.3 * radius)] = 2
    return label


def write_msd(folder: Path, names: list[str], modalities: tuple[str, ...] = ("MRI",)) -> Path:
    """Cases of one shape with classes 0 to 2; several modalities make 4D images."""
    rng = np.random.default_rng(0)
    for name in names:
        shape = SHAPE if len(modalities) == 1 else (*SHAPE, len(modalities))
        image = rng.normal(100, 10, shape).astype(np.float32)
        write_nifti(folder / "imagesTr" / f"{name}.nii.gz", image)
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", ball(SHAPE))
    descriptor = {
        "name": "balls",
        "modality": {str(index): name for index, name in enumerate(modalities)},
        "labels": {"0": "background", "1": "low", "2": "high"},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
            for name in names
        ],
    }
    (folder / "dataset.json").write_text(json.dumps(descriptor))
    return folder


def settings_of(**preprocess) -> Settings:
    """How a volume is read under a `Preprocess` that has one intensity for all channels."""
    return Preprocess(**preprocess).of_channels(())


def robust(channel: np.ndarray) -> np.ndarray:
    """(D, H, W) as it is read under robust intensities, in double precision."""
    return robust_zscore(channel)(channel)
