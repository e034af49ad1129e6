"""Which choices of a space networks with shared weights can have, and the largest and smallest.

Knobs of `hybrid` are of two sorts. A size is elastic: a smaller network has the head of the larger
one's weights, or leaves modules out. Of a kind, such as the token mixer, every option has weights
of its own; the largest and the smallest network are asked for by kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search_spaces.space import (
    Architecture,
    ArchitectureError,
    Option,
    Restrictions,
    SearchSpace,
    path_pattern,
    to_params,
)

KINDS = (
    "stem_stride", "residual", "conv", "norm", "skip", "decoder", "anchors_head",
    "tokens.mixer", "tokens.tau", "tokens.noiseless", "tokens.prune_queries", "tokens.confidence",
    "tokens.prune_dependencies", "tokens.grpe", "tokens.regularise",
)  # fmt: skip
APART = ("conv", "stem_stride", "residual")  # of the kinds: those that leave nothing to share
SHRINKING = {"tokens.prune", "tokens.places"}  # the more, the smaller is the network
BY_SIZE: Mapping[str, Sequence[Option]] = {  # where numbers do not say it
    "tokens.window": (2, 4, 8, 0),
    "tokens.layers.gate": ("none", "mlp", "mixer", "both"),
}
REFUSED: Mapping[tuple[str, Option], str] = {
    ("norm", "batch"): "its running statistics belong to one network, and none of those that share "
    "weights would have its own; use instance or group",
}


def options_of(space: SearchSpace, restrict: Restrictions) -> dict[str, Sequence[Option]]:
    """Every knob of the space with the options that the restrictions leave."""
    return {knob.name: restrict.get(knob.name, knob.options) for knob in space.knobs()}


def refused(space: SearchSpace, restrict: Restrictions) -> dict[str, str]:
    """What of the restricted space cannot share weights, `norm=batch`, each with the reason.

    Raises ArchitectureError for a space of which nothing can.
    """
    if space.name != "hybrid":
        raise ArchitectureError(
            f"space.name = {space.name}: only networks of hybrid share weights; search that space, "
            "or train every network on its own"
        )
    options = options_of(space, restrict)
    return {
        f"{knob}={option}": reason
        for (knob, option), reason in REFUSED.items()
        if option in options[knob]
    }


def check_shareable(space: SearchSpace, restrict: Restrictions) -> None:
    """Raises ArchitectureError that names the first option that cannot share weights."""
    for name, reason in refused(space, restrict).items():
        raise ArchitectureError(f"space.restrict: {name} cannot share weights: {reason}")


def scaled(
    space: SearchSpace, restrict: Restrictions, share: float, like: Architecture | None = None
) -> Architecture:
    """The network at that share of the way from the smallest to the largest, in every size.

    Of the same kinds as `like`; where it has none, of the first option of every kind.
    """
    answers = {} if like is None else to_params(like)
    return space.sample(_Scaled(answers, share), restrict)


class _Scaled:
    """A trial that takes the kinds of `answers`, and of every size the option at that share."""

    def __init__(self, answers: Mapping[str, Option], share: float) -> None:
        self._answers, self._share = answers, share

    def suggest_categorical(self, name: str, choices: Sequence[Option]) -> Option:
        knob = path_pattern(name)
        if knob in KINDS:
            answer = self._answers.get(name, choices[0])
            return answer if answer in choices else choices[0]
        ordered = by_size(knob, choices)
        return ordered[round(self._share * (len(ordered) - 1))]


def by_size(knob: str, options: Sequence[Option]) -> list[Option]:
    """The options of a knob that is a size, those of small networks first."""
    if order := BY_SIZE.get(knob):
        return sorted(options, key=order.index)
    return sorted(options, reverse=knob in SHRINKING)
