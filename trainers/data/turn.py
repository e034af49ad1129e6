"""Rotation and zoom of a training patch."""

import math
from collections.abc import Sequence

import numpy as np
from monai.transforms import Affine


def turn_patch(
    image: np.ndarray, label: np.ndarray, degrees: Sequence[float], zooms: Sequence[float]
) -> None:
    """Rotate a patch about its three axes and stretch it along them, around its centre, in place.

    image: (C, D, H, W) float32, interpolated linearly; label: (1, D, H, W), nearest. What comes in
    from outside the patch is zero.
    """
    turn = Affine(
        rotate_params=[math.radians(angle) for angle in degrees],
        scale_params=[float(1 / zoom) for zoom in zooms],  # of the grid that is sampled
        padding_mode="zeros",
        image_only=True,
    )
    label[:] = turn(label.astype(np.float32), mode="nearest").numpy()
    image[:] = turn(np.ascontiguousarray(image), mode="bilinear").numpy()
