"""Dice as normal scores of its ranks."""

import numpy as np
import pytest

from benchmarks.simulation.normal_scores import NormalScores


def test_scores_keep_the_order_and_lead_back_to_the_dice_that_was_seen():
    dice = np.array([0.86, 0.1, 0.8, 0.87, 0.84, 0.3])
    scores = NormalScores(dice)
    assert scores.dice(scores.of_observed) == pytest.approx(dice)
    assert (np.argsort(scores.of_observed) == np.argsort(dice)).all()
    assert scores.of_observed.mean() == pytest.approx(0)
    assert scores.dice(np.array(-9.0)) == 0.1  # nothing is known to be worse
    assert 0.87 < scores.dice(np.array(scores.of_observed.max() + 1)) < 0.95


def test_networks_that_did_not_learn_are_no_nearer_to_each_other_than_good_ones():
    """Two points of Dice between good networks count as much as twenty between bad ones."""
    scores = NormalScores(np.array([0.1, 0.3, 0.5, 0.84, 0.86, 0.88])).of_observed
    assert scores[5] - scores[4] == pytest.approx(scores[1] - scores[0])
