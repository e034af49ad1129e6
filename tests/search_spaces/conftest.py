import pytest

from search_spaces.space import RandomTrial


@pytest.fixture
def trial() -> type[RandomTrial]:
    """Answers at random, or as told; remembers what it was asked."""
    return RandomTrial
