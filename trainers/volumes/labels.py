"""How class numbers are stored."""

import numpy as np


def label_type(classes: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned type that holds so many classes."""
    return np.min_scalar_type(classes - 1)
