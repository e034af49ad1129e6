import random
from collections.abc import Callable

import pytest

from search_spaces.hybrid import Hybrid
from search_spaces.space import sample


class RecordingTrial:
    """Answers at random, or as told; remembers what it was asked."""

    def __init__(self, seed=0, answers=None):
        self.random = random.Random(seed)
        self.answers = answers or {}
        self.asked = {}

    def suggest_categorical(self, name, choices):
        assert name not in self.asked, f"{name} is asked twice"
        self.asked[name] = tuple(choices)
        return self.answers[name] if name in self.answers else self.random.choice(choices)


@pytest.fixture
def trial() -> type[RecordingTrial]:
    return RecordingTrial


@pytest.fixture
def random_point() -> Callable[[int], Hybrid]:
    """A point of the hybrid space from a seed, as it was spelt (not canonical)."""
    return lambda seed: sample(Hybrid, RecordingTrial(seed))
