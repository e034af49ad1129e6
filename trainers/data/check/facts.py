"""What is known of a case once it was read: sizes, intensities, classes, content."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
from pydantic import Field

from trainers.data.check.finding import Finding
from trainers.strict import Strict

Progress = Callable[[int, int, str], None]
"""Called with how many cases are done, how many there are, and the verb, such as `checked`."""

PERCENTILES = (0, 0.5, 50, 99.5, 100)


class CaseFacts(Strict):
    """One readable case, its axes turned to right, front and up.

    `shape`: (D, H, W) voxels. `voxel_size`: mm. `intensities[channel]`: the volume's percentiles
    `PERCENTILES`. `voxels[class]`: how many have it; `ignored`: how many are to be ignored. `image`
    and `label`: hashes of their content on these axes, whatever type, axes and compression their
    files have.
    """

    name: str
    shape: tuple[int, int, int]
    voxel_size: tuple[float, float, float]
    intensities: tuple[tuple[float, ...], ...]
    voxels: tuple[int, ...]
    image: str
    label: str
    ignored: int = Field(default=0, exclude_if=lambda count: count == 0)

    @property
    def constant(self) -> bool:
        """Every channel has one value alone."""
        return all(channel[0] == channel[-1] for channel in self.intensities)

    @property
    def extent(self) -> np.ndarray:
        """(3,) mm."""
        return np.multiply(self.shape, self.voxel_size)


class DataCheck(Strict):
    """The cases that could be read, and what was found; no part of a split is known yet."""

    cases: tuple[CaseFacts, ...]
    findings: tuple[Finding, ...]


def content(values: np.ndarray) -> str:
    """A hash of shape and voxels, equal for equal numbers of any type."""
    flat = np.asarray(values, np.float32).reshape(-1, order="F")  # as files and nibabel have it
    voxels = np.ascontiguousarray(flat)  # backwards where all axes of a file are mirrored
    return blake2b(voxels.data, digest_size=16, key=str(values.shape).encode()).hexdigest()
