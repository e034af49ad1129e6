import random
from collections import Counter
from math import log
from statistics import pvariance

from search_spaces.hybrid import SPACE
from search_spaces.space import RandomTrial
from search_spaces.supernet import Draws

SMALL = {"levels": [3], "token_stages": [0], "width": [4, 6, 8, 12, 16, 24, 32]}


def weight(point):
    """Nearly what a network costs: most draws are near the middle of its logarithm."""
    return float(sum(c**2 for c in point.channels) * point.convs)


POOL = [(weight(p), p) for p in (SPACE.sample(RandomTrial(n), SMALL) for n in range(300))]
LOW, HIGH = log(min(POOL, key=lambda one: one[0])[0]), log(max(POOL, key=lambda one: one[0])[0])


def counts(bins):
    """Of 400 draws, how many are in each eighth of the logarithm."""
    draws, rng = Draws(POOL, count=1, bins=bins), random.Random(0)
    drawn = [log(weight(draws(rng)[0])) for _ in range(400)]
    places = Counter(min(7, int(8 * (cost - LOW) / (HIGH - LOW))) for cost in drawn)
    return [places[place] for place in range(8)]


def test_bins_of_the_cost_are_as_likely_as_each_other():
    balanced, alike = counts(8), counts(1)
    assert pvariance(balanced) < pvariance(alike) / 2  # 0 for 50 each
    assert min(balanced) >= 20


def test_the_same_numbers_draw_the_same_networks():
    draws = Draws(POOL, count=3)
    first, again = ([p.key for p in draws(random.Random(4))] for _ in range(2))
    assert first == again and len(first) == 3


def test_a_pool_of_one_cost_is_one_bin():
    assert len(Draws([POOL[0], POOL[0]]).bins) == 1
