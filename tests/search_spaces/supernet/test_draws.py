import random
from collections import Counter
from statistics import pvariance

from search_spaces.hybrid import SPACE
from search_spaces.supernet import Draws

SMALL = {"levels": [3], "token_stages": [0], "width": [4, 6, 8, 12, 16, 24, 32]}


def weight(point):
    """Nearly what a network costs: most draws are near the middle of its logarithm."""
    return float(sum(c**2 for c in point.channels) * point.convs)


def draw(count, bins, **more):
    draws, rng = Draws(SPACE, SMALL, weight, count=1, bins=bins, **more), random.Random(0)
    return draws, [draws(rng)[0] for _ in range(count)]


def test_bins_of_the_cost_are_as_likely_as_each_other():
    even, balanced = draw(200, bins=8)
    _, plain = draw(200, bins=1)
    counts = [Counter(even._bin(p) for p in points) for points in (balanced, plain)]
    spread = [pvariance([count[b] for b in range(8)]) for count in counts]  # 0 for 25 each
    assert spread[0] < spread[1] / 2
    assert min(counts[0][b] for b in range(8)) >= 10


def test_what_does_not_fit_is_not_drawn():
    _, points = draw(50, bins=4, fits=lambda point: point.width < 12)
    assert {p.width for p in points} == {4, 6, 8}


def test_the_same_numbers_draw_the_same_networks():
    draws = Draws(SPACE, SMALL, weight, count=3)
    first, again = ([p.key for p in draws(random.Random(4))] for _ in range(2))
    assert first == again and len(first) == 3
