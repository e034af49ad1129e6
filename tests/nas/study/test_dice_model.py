"""What the model of Dice believes after few trainings, and after many."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.study.samplers.ehvi.dice_model import DiceModel

FEATURES = 15


def drawn(seed, trained, weights=0.0, promised=1.0):
    """Features, promise and true Dice of 200 networks, and the Dice of the first few trainings."""
    rng = np.random.default_rng(seed)
    x, promise = rng.normal(size=(200, FEATURES)), rng.normal(size=200)
    true = 0.7 + 0.05 * (promised * promise + weights * x[:, 0])
    return x, promise, true, true[:trained] + rng.normal(0, 0.02, trained)


def ranked(seed, **how):
    x, promise, true, seen = drawn(seed, **how)
    n = len(seen)
    mean, _ = DiceModel(x[:n], seen, promise[:n]).predict(x[n:], promise[n:])
    return spearmanr(mean, true[n:])[0]


def test_after_few_trainings_it_goes_by_the_promise():
    found, without = [], []
    for seed in range(20):
        found.append(ranked(seed, trained=6))
        x, promise, true, seen = drawn(seed, trained=6)
        both = np.hstack([x, promise[:, None]])
        without.append(spearmanr(DiceModel(both[:6], seen).predict(both[6:])[0], true[6:])[0])
    assert np.mean(found) > 0.8 > 0.6 > np.mean(without)


def test_after_many_what_was_seen_decides():
    """A feature matters that was not expected to, and the promise is wrong."""
    assert ranked(0, trained=150, weights=1.0, promised=0.0) > 0.95


def test_the_deviation_is_that_of_what_is_not_known_without_the_noise():
    x, promise, _, seen = drawn(0, trained=150)
    model = DiceModel(x[:150], seen, promise[:150])
    mean, known = model.predict(x, promise)
    _, far = model.predict(x + 10, promise)
    assert (known < 0.01).all() and (far > 2 * known).all()
    assert mean[:150] == pytest.approx(seen, abs=0.08)


def test_trainings_that_all_end_alike_tell_nothing():
    x, promise, *_ = drawn(0, trained=5)
    mean, _ = DiceModel(x[:5], np.full(5, 0.3), promise[:5]).predict(x, promise)
    assert mean == pytest.approx(0.3, abs=1e-6)
