"""A NIfTI file of several channels that is filled in its place, larger than memory if need be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from trainers.volumes.files import Image
from trainers.volumes.nifti import CHUNK, open_volume, placed_header


def create_channels(channels: int, like: Image, to: Path) -> np.ndarray:
    """A new file of zeros where the image `like` is: (channels, D, H, W) float32.

    What is written into the array is in the file, whose last axis the channels are; it is not
    packed. Raises OSError where there is no room for it.
    """
    source = open_volume(like)
    shape = (*source.shape[:3], channels)
    header = placed_header(source, shape, np.dtype(np.float32))
    start = int(header.single_vox_offset)
    header["vox_offset"] = start
    left = 4 * math.prod(shape)
    with to.open("wb") as file:
        file.write(header.binaryblock.ljust(start, b"\0"))
        while left:  # now, for a mapped file that finds no room on the disk ends the program
            left -= file.write(bytes(min(left, CHUNK)))
    return np.moveaxis(np.memmap(to, np.float32, "r+", start, shape, order="F"), -1, 0)
