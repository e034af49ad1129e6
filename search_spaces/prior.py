"""Random networks of the kind that people build: most knobs at their usual options."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.fitting import nearest
from search_spaces.space import (
    Architecture,
    Option,
    Restrictions,
    SearchSpace,
    path_pattern,
    sample,
    to_params,
)

USUAL = 0.5
"""How often a knob keeps its usual option. The usual options of a space together are its plain
network: where every knob left it by an even draw, hardly a network would be near it."""


def usual_options(
    space: SearchSpace, prior: Mapping[str, Option] | None = None
) -> dict[str, Option]:
    """What `prior` says of each knob, and what the knob itself declares where it says nothing."""
    return {**{knob.name: knob.usual for knob in space.knobs()}, **(prior or {})}


class PriorTrial:
    """A trial without a study, for `sample`: the usual option with probability `usual`, else any
    other.

    Usual is one of `usual_options`, or the nearest option where that is left out of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: random.Random,
        prior: Mapping[str, Option] | None = None,
        usual: float = USUAL,
    ) -> None:
        self._options = usual_options(space, prior)
        self._rng, self._usual = rng, usual

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices` for the knob at the path `name`."""
        usual = nearest(self._options[path_pattern(name)], choices)
        others = [option for option in choices if option != usual]
        if not others or self._rng.random() < self._usual:
            return usual
        return self._rng.choice(others)


def draw_params(
    space: SearchSpace,
    restrict: Restrictions,
    rng: random.Random,
    prior: Mapping[str, Option] | None = None,
) -> dict[str, Option]:
    """The parameters of a random network, for which sampling the space gives it."""
    return to_params(sample(space.kind, PriorTrial(space, rng, prior), restrict))


def plain_network(
    space: SearchSpace, restrict: Restrictions, prior: Mapping[str, Option] | None = None
) -> Architecture:
    """The network of which every knob has its usual option, not in canonical form."""
    trial = PriorTrial(space, random.Random(0), prior, usual=1.0)
    return sample(space.kind, trial, restrict).with_axes(space.axes)


def prior_for(space: SearchSpace, classes: int) -> dict[str, Option]:
    """Usual options that follow from the number of classes, background included.

    Fewer channels than classes cannot tell all of them apart soon: 540 steps on six classes came to
    Dice 0.40 to 0.53 with four or six full-resolution channels, to 0.65 with eight.
    """
    found: dict[str, Option] = {}
    for knob in (knob for knob in space.knobs() if knob.for_classes):
        channels = [option for option in knob.options if isinstance(option, int)]
        if isinstance(knob.usual, int) and classes > knob.usual:
            found[knob.name] = min((n for n in channels if n >= classes), default=max(channels))
    return found
