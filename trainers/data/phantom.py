"""Phantoms: CT-like volumes with organs, made from a seed and written as a data set.

A body of fat and muscle around a spine holds organs of different size, shape and contrast in an
anatomical order; every case has its own proportions, deformation, contrast, blur, noise and field
inhomogeneity. The adrenal gland is small and hardly brighter than what is around it; the aorta is
a tube. Axes are RAS: the liver, a right-hand organ, lies at the positive end of the first.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

from trainers.data.phantom_source import PhantomData

AIR, FAT, MUSCLE, CAVITY, BONE = -1000.0, -100.0, 55.0, -10.0, 500.0

Field = np.ndarray
"""(D, H, W) float; coordinates run from -1 to 1 along each axis."""


@dataclass(frozen=True)
class Organ:
    """An ellipsoid, or a tube along the body if `tube`; `rough`: strength of its deformation."""

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hounsfield: float
    rough: float
    tube: bool = False


# In the order in which `organs: n` takes them; later ones are drawn over earlier ones.
ORGANS = (
    Organ("liver", (0.38, 0.08, 0.22), (0.34, 0.42, 0.42), 110, 0.35),
    Organ("aorta", (-0.06, -0.22, 0.0), (0.10, 0.10, 2.0), 230, 0.1, tube=True),
    Organ("adrenal", (-0.24, -0.12, 0.12), (0.11, 0.07, 0.13), 25, 0.4),
    Organ("kidney", (-0.40, -0.24, -0.32), (0.19, 0.17, 0.28), 170, 0.2),
    Organ("spleen", (-0.50, -0.12, 0.42), (0.19, 0.26, 0.26), 130, 0.3),
    Organ("gallbladder", (0.20, 0.30, -0.34), (0.13, 0.14, 0.20), 8, 0.2),
)


def make_phantom(config: PhantomData, folder: Path) -> Path:
    """Write the cases into `folder` as a data set that `read_msd` reads, and return it."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    affine = np.diag([*config.spacing, 1.0])
    names = [f"phantom_{number:03d}" for number in range(1, config.cases + 1)]
    seeds = np.random.SeedSequence(config.seed).spawn(config.cases)
    for name, seed in zip(names, seeds, strict=True):
        image, label = make_case(config, np.random.default_rng(seed))
        nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), folder / "labelsTr" / f"{name}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps(_descriptor(config, names), indent=1))
    return folder


def make_case(config: PhantomData, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One case: (D, H, W) int16 in HU and (D, H, W) uint8 labels."""
    space = _space(config.shape, rng)
    hounsfield = _body(space, rng)
    label = np.zeros(config.shape, np.uint8)
    for index, organ in enumerate(ORGANS[: config.organs], start=1):
        inside = _inside(organ, space, rng)
        label[inside] = index
        hounsfield[inside] = organ.hounsfield + rng.normal(0, 6)
    return _scan(hounsfield, config.noise, rng), label


def _space(shape: tuple[int, ...], rng: np.random.Generator) -> list[Field]:
    """The three coordinates, deformed, so that each case has a body of its own."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return [rng.uniform(0.93, 1.07) * axis + 0.05 * _smooth(shape, 4, rng) for axis in axes]


def _body(space: list[Field], rng: np.random.Generator) -> Field:
    """Air, a layer of fat, a muscular wall, the cavity, and a spine with its discs."""
    x, y, z = space
    shape = x.shape
    trunk = np.abs(x / 0.94) ** 2.5 + np.abs(y / 0.78) ** 2.5
    fat = rng.uniform(0.72, 0.8)
    body = np.full(shape, AIR)
    body[trunk < 1] = FAT
    body[trunk < fat] = MUSCLE
    cavity = CAVITY + 15 * _smooth(shape, 8, rng)
    body[trunk < 0.82 * fat] = cavity[trunk < 0.82 * fat]
    spine = (x / 0.13) ** 2 + ((y + 0.5) / 0.14) ** 2 < 1
    discs = np.sin(2 * np.pi * (2.5 * z + rng.random())) > 0.85
    body[spine] = np.where(discs, 90, BONE)[spine]
    return body


def _inside(organ: Organ, space: list[Field], rng: np.random.Generator) -> np.ndarray:
    """(D, H, W) bool: where the organ is."""
    shape = space[0].shape
    centre = np.array(organ.centre) + rng.normal(0, 0.025, 3)
    radii = np.array(organ.radii) * rng.uniform(0.88, 1.14, 3)
    x, y, z = (
        (axis - middle) / radius for axis, middle, radius in zip(space, centre, radii, strict=True)
    )
    if organ.tube:
        bend, phase = rng.uniform(0.2, 0.5), rng.uniform(0, 2 * np.pi)
        turn = np.pi * space[2] + phase
        distance = (x + bend * np.sin(turn)) ** 2 + (y + bend * np.cos(turn)) ** 2
    else:
        distance = x**2 + y**2 + z**2
    return distance < 1 + organ.rough * _smooth(shape, 6, rng)


def _scan(hounsfield: Field, noise: float, rng: np.random.Generator) -> np.ndarray:
    """What a scanner makes of it: point spread, a smooth field, noise; int16."""
    blurred = ndimage.gaussian_filter(hounsfield, rng.uniform(0.5, 0.8))
    field = 12 * _smooth(blurred.shape, 3, rng)
    grain = rng.normal(0, noise, blurred.shape) if noise else 0.0
    return np.rint(np.clip(blurred + field + grain, -1024, 3071)).astype(np.int16)


def _smooth(shape: tuple[int, ...], knots: int, rng: np.random.Generator) -> Field:
    """A random field that varies over about 1 / `knots` of the volume, of deviation near 0.6."""
    grid = np.linspace(-1, 1, knots)
    spline = CubicSpline(grid, np.eye(knots))
    weights = [spline(np.linspace(-1, 1, n)) for n in shape]  # each (n, knots)
    coarse = rng.standard_normal((knots,) * 3)
    return np.einsum("ai,bj,ck,ijk->abc", *weights, coarse, optimize=True)


def _descriptor(config: PhantomData, names: list[str]) -> dict[str, object]:
    classes = ["background", *(organ.name for organ in ORGANS[: config.organs])]
    return {
        "name": "phantom",
        "description": "Generated CT-like volumes; no patient was scanned",
        "modality": {"0": "CT"},
        "labels": {str(index): name for index, name in enumerate(classes)},
        "numTraining": len(names),
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
            for name in names
        ],
    }
