"""Overlap of a segmentation with the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Groups = Sequence[Sequence[int]]
"""The label values of each class or region that is scored."""


def label_pairs(predicted: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """How many voxels have label p in one segmentation and t in the other, at [p, t].

    predicted, truth: integer labels of one shape, below `classes`.
    """
    pairs = predicted.ravel().astype(np.int64) * classes + truth.ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def dice_per_class(
    predicted: np.ndarray, truth: np.ndarray, classes: int, groups: Groups | None = None
) -> np.ndarray:
    """Dice of every foreground class of one case, or of every group of labels.

    predicted, truth: integer labels of one shape, below `classes`. Returns (groups,) float64, by
    default (classes - 1,) for the labels 1 .. classes - 1; NaN where a class is in neither.
    """
    return dice_of_pairs(label_pairs(predicted, truth, classes), groups)


def dice_of_pairs(pairs: np.ndarray, groups: Groups | None = None) -> np.ndarray:
    """Dice of every group of labels: (..., classes, classes) -> (..., groups) float64.

    pairs: how many voxels have label p in one segmentation and t in the other, at [..., p, t].
    groups: by default each foreground class alone. NaN where a group is in neither.
    """
    groups = groups or each_class(pairs.shape[-1])
    sizes = pairs.sum(-2) + pairs.sum(-1)
    both = [pairs[..., group, :][..., group].sum((-2, -1)) for group in map(list, groups)]
    total = [sizes[..., group].sum(-1) for group in map(list, groups)]
    with np.errstate(invalid="ignore"):
        return np.asarray(2.0 * np.stack(both, -1) / np.stack(total, -1))


def rates_of_pairs(pairs: np.ndarray, groups: Groups | None = None) -> np.ndarray:
    """Sensitivity, specificity and accuracy of every group of labels against all others:
    (classes, classes) -> (groups, 3) float64.

    pairs: as `label_pairs` counts them. TP / (TP + FN), TN / (TN + FP) and (TP + TN) / all; NaN
    throughout where a group is in neither, the sensitivity also where it is not in the truth.
    """
    rates = []
    for group in map(list, groups or each_class(len(pairs))):
        hit = pairs[group][:, group].sum()
        found, real = pairs[group].sum(), pairs[:, group].sum()
        neither = pairs.sum() - found - real + hit
        with np.errstate(invalid="ignore"):
            counts = [(hit, real), (neither, pairs.sum() - real), (hit + neither, pairs.sum())]
            of_group = [np.float64(part) / whole for part, whole in counts]
        rates.append(of_group if found or real else [np.nan] * 3)
    return np.array(rates)


def each_class(classes: int) -> Groups:
    """The foreground classes, each alone."""
    return [(label,) for label in range(1, classes)]


def iou_from_dice(dice: np.ndarray) -> np.ndarray:
    """Intersection over union of the same two sets: Dice / (2 - Dice), elementwise."""
    return dice / (2.0 - dice)


def mean_dice(cases: np.ndarray) -> float:
    """Mean foreground Dice over cases: (cases, classes - 1) -> the mean of the cases' means.

    A class that is in neither segmentation of a case does not count in it; a case without any class
    does not count at all. NaN where nothing counts.
    """
    means = case_means(cases)
    counted = means[~np.isnan(means)]
    return float(counted.mean()) if counted.size else float("nan")


def case_means(cases: np.ndarray) -> np.ndarray:
    """Mean of every case over the classes that are not NaN: (cases, classes - 1) -> (cases,)."""
    return class_means(cases.T)


def class_means(cases: np.ndarray) -> np.ndarray:
    """Mean of every class over the cases that have it: (cases, classes - 1) -> (classes - 1,)."""
    present = ~np.isnan(cases)
    with np.errstate(invalid="ignore"):
        return np.nansum(cases, axis=0) / present.sum(axis=0)
