"""Overlap of a segmentation with the truth."""

from __future__ import annotations

import numpy as np


def dice_per_class(predicted: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Dice of every foreground class of one case.

    predicted, truth: integer labels of one shape. Returns (classes - 1,) float64 for the labels
    1 .. classes - 1; NaN where a class is in neither.
    """
    pairs = np.bincount(
        predicted.ravel().astype(np.int64) * classes + truth.ravel(), minlength=classes**2
    ).reshape(classes, classes)
    both = 2.0 * np.diag(pairs)
    total = pairs.sum(0) + pairs.sum(1)
    with np.errstate(invalid="ignore"):
        return (both / total)[1:]


def mean_dice(cases: np.ndarray) -> float:
    """Mean foreground Dice over cases: (cases, classes - 1) -> the mean of the cases' means.

    A class that is in neither segmentation of a case does not count in it; a case without any class
    does not count at all. NaN where nothing counts.
    """
    present = ~np.isnan(cases)
    counted = present.any(axis=1)
    if not counted.any():
        return float("nan")
    means = np.nansum(cases[counted], axis=1) / present[counted].sum(axis=1)
    return float(means.mean())


def class_means(cases: np.ndarray) -> np.ndarray:
    """Mean of every class over the cases that have it: (cases, classes - 1) -> (classes - 1,)."""
    present = ~np.isnan(cases)
    with np.errstate(invalid="ignore"):
        return np.nansum(cases, axis=0) / present.sum(axis=0)
