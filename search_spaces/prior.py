"""Random networks of the kind that people build: most knobs at their defaults."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.fitting import nearest
from search_spaces.space import Option, SearchSpace, path_pattern

AT_DEFAULT = 0.5
"""How often a knob keeps its default. The defaults of a space together are its plain network: where
each knob left it by an even draw, hardly a network would be near it."""


class PriorTrial:
    """A trial without a study, for `sample`: the default in half of the cases, else any other.

    Where the default is left out by a restriction, the option nearest to it is in its place.
    """

    def __init__(self, space: SearchSpace, rng: random.Random) -> None:
        self._defaults: Mapping[str, Option] = {
            knob.name: knob.options[0] for knob in space.knobs()
        }
        self._rng = rng

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices` for the knob at the path `name`."""
        usual = nearest(self._defaults[path_pattern(name)], choices)
        others = [option for option in choices if option != usual]
        if not others or self._rng.random() < AT_DEFAULT:
            return usual
        return self._rng.choice(others)
