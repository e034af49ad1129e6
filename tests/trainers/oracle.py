"""A segmenter that is right by construction, and cases for it."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import nn

from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.volumes.targets import Targets

CLASSES = ("background", "liver", "kidney")
# Left-right and front-back mirrored, axes in another order, 1 x 2 x 3 mm.
CROOKED = np.array([[0, 0, -3, 40], [-1, 0, 0, 7], [0, 2, 0, -5], [0, 0, 0, 1.0]])


class Oracle(nn.Module):
    """(B, 1, D, H, W) -> logits that are largest for the class nearest to `scale` times a voxel.

    Images hold 100 times their label, which the window 0 to 400 makes a quarter of it.
    """

    def __init__(self, classes: int = 3, scale: float = 4.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.register_buffer("classes", torch.arange(float(classes)).view(1, -1, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -((self.scale * x - self.classes) ** 2)


def exclusive(count: int) -> Targets:
    """So many classes, the background among them."""
    return Targets(tuple(f"class {index}" for index in range(count)))


def segmenter(spacing=None, channels=1, crop="none", classes=CLASSES) -> Segmenter:
    return Segmenter(
        network=Oracle().eval(),
        spec=SegmenterSpec(
            task=Task(channels=channels, classes=classes, spacing=spacing, patch=(8, 8, 8)),
            preprocess=Preprocess(spacing="native", crop=crop, intensity="ct", window=(0, 400)),
            overlap=0.25,
        ),
    )


def truth(shape, seed=0) -> np.ndarray:
    """Blocks of 4 voxels, so that resampling by two leaves most of them in place."""
    small = np.random.default_rng(seed).integers(0, 3, [-(-n // 4) for n in shape])
    blocks = small.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    return blocks[tuple(slice(n) for n in shape)].astype(np.uint8)


def write(path: Path, values: np.ndarray, affine: np.ndarray = CROOKED) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


def write_cases(folder: Path) -> Path:
    """Two cases of different shapes; the segmentations are perfect unless labels are changed."""
    for name, shape in (("a", (9, 12, 7)), ("b", (16, 6, 10))):
        label = truth(shape)
        write(folder / "images" / f"{name}.nii.gz", label.astype(np.float32) * 100)
        write(folder / "labels" / f"{name}.nii.gz", label)
    return folder
