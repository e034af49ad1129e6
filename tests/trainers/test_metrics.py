import numpy as np
import pytest
import torch
from monai.metrics import compute_confusion_matrix_metric, get_confusion_matrix
from monai.networks import one_hot

from trainers.metrics import (
    class_means,
    dice_per_class,
    label_pairs,
    mean_dice,
    rates_of_pairs,
)

NAN = float("nan")


def test_dice_by_hand():
    predicted = np.array([[0, 1, 1], [2, 2, 0]], np.uint8)
    truth = np.array([[0, 1, 0], [2, 1, 0]], np.uint8)
    # class 1: one voxel in common, two and two; class 2: one in common, two and one; class 3: none
    scores = dice_per_class(predicted, truth, classes=4)
    np.testing.assert_allclose(scores, [2 / 4, 2 / 3, NAN])


def test_a_class_found_where_there_is_none_scores_zero():
    assert dice_per_class(np.array([1, 0]), np.array([0, 0]), classes=2).tolist() == [0.0]


def test_rates_are_monais():
    random = np.random.default_rng(0)
    predicted, truth = random.integers(0, 4, (2, 6, 7, 8))
    found = rates_of_pairs(label_pairs(predicted, truth, 4))
    pair = [one_hot(torch.tensor(one)[None, None], 4) for one in (predicted, truth)]
    counts = get_confusion_matrix(*pair, include_background=False)[0]
    for column, name in enumerate(("sensitivity", "specificity", "accuracy")):
        expected = compute_confusion_matrix_metric(name, counts)
        np.testing.assert_allclose(found[:, column], expected, rtol=1e-6)


def test_rates_of_a_class_that_is_in_one_or_neither():
    predicted, truth = np.array([0, 0, 1, 0]), np.array([0, 0, 0, 2])
    found = rates_of_pairs(label_pairs(predicted, truth, 4))
    np.testing.assert_allclose(found, [[NAN, 3 / 4, 3 / 4], [0, 1, 3 / 4], [NAN] * 3])
    union = rates_of_pairs(label_pairs(predicted, truth, 4), [(1, 2)])
    np.testing.assert_allclose(union, [[0, 2 / 3, 2 / 4]])


def test_perfect_and_disjoint():
    truth = np.array([0, 1, 2, 2])
    assert dice_per_class(truth, truth, 3).tolist() == [1.0, 1.0]
    assert dice_per_class(np.array([1, 2, 0, 0]), truth, 3).tolist() == [0.0, 0.0]


def test_many_classes_of_small_integer_types_do_not_overflow():
    truth = np.arange(100, dtype=np.uint8)
    assert dice_per_class(truth, truth, 100).tolist() == [1.0] * 99


def test_the_mean_is_over_the_cases_means_of_the_classes_they_have():
    cases = np.array([[0.5, NAN], [0.2, 0.6], [NAN, NAN]])
    assert mean_dice(cases) == pytest.approx((0.5 + 0.4) / 2)
    assert np.isnan(mean_dice(cases[2:]))  # nothing counts


def test_a_class_is_averaged_over_the_cases_that_have_it():
    cases = np.array([[0.5, NAN, NAN], [0.2, 0.6, NAN]])
    np.testing.assert_allclose(class_means(cases), [0.35, 0.6, NAN])
