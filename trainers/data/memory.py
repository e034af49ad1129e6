"""How much memory reading a case takes."""

from __future__ import annotations

import math
import warnings

from trainers.data.source import Case
from trainers.errors import UserError
from trainers.volumes.geometry import Spacing3, read_affine, voxel_sizes
from trainers.volumes.nifti import open_volume

COPIES = 4  # of the image in single precision at the peak; up to 3.1 were measured


def memory_of(case: Case, spacing: Spacing3 | None = None) -> float:
    """About how many bytes checking the case takes, or preparing it at a spacing in mm.

    0 where it cannot be read, which the check says.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = open_volume(case.image)
            size = math.prod(image.shape)
            if spacing:
                own = voxel_sizes(read_affine(image))
                size *= max(1.0, math.prod(own) / math.prod(spacing))
    except UserError:
        return 0.0
    return COPIES * 4.0 * size
