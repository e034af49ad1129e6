"""The supernet of a search: networks that are cut out of it have weights that it was trained to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.config.data_space import DataSpace
from search_spaces.axes import Axes
from search_spaces.elastic import APART, options_of, refused
from search_spaces.narrowing import left_out
from search_spaces.prior import usual_options
from search_spaces.registry import find_space
from search_spaces.space import Architecture, ArchitectureError, Option, SearchSpace
from trainers.atomic import replace_files
from trainers.checkpoint import read_checkpoint
from trainers.errors import UserError
from trainers.read_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces.supernet import Supernet

Size = tuple[int, float, int]
FOLDER, CHECKPOINT, SPACE = "supernet", "supernet.pt", "space.json"


def shareable(within: DataSpace) -> DataSpace:
    """The part of the space whose networks can share weights; what is left out is told.

    Where the configuration does not name the options of a knob of `APART`, `conv` aside, the usual
    one is left: each further one is a supernet of its own, with a part of the steps. Raises
    UserError where a knob would keep no option.
    """
    within = _together(within)
    restrict, reasons = dict(within.restrict), refused(within.space, within.restrict)
    options = {knob.name: knob.options for knob in within.space.knobs()} | restrict
    for refusal, reason in reasons.items():
        knob, _, option = refusal.partition("=")
        kept = tuple(o for o in restrict.get(knob, options[knob]) if str(o) != option)
        if not kept:
            raise UserError(
                f"space.restrict.{knob} = {list(options[knob])}: such networks share no weights "
                f"({reason}); allow others, or set search.strategy=train"
            )
        restrict[knob] = kept
    if not reasons:
        return within
    gone = ", ".join(left_out(within.space, within.restrict, restrict))
    why = "; ".join(dict.fromkeys(reasons.values()))
    line = f"Left out, for search.strategy = supernet: {gone} ({why})"
    return replace(within, restrict=restrict, told=(*within.told, line))


def _together(within: DataSpace) -> DataSpace:
    """Without the options of `APART` that nobody asked for, ghost convolutions aside."""
    options, usual = options_of(within.space, within.restrict), usual_options(within.space)
    kept = {
        knob: (usual[knob],)
        for knob in APART
        if knob != "conv" and knob not in within.asked and usual.get(knob) in options.get(knob, ())
        if len(options[knob]) > 1
    }
    if not kept:
        return within
    restrict = {**within.restrict, **kept}
    gone = ", ".join(left_out(within.space, within.restrict, restrict))
    line = (
        f"Left out, for search.strategy = supernet: {gone} (they share no weights with the others; "
        "space.restrict can name them)"
    )
    return replace(within, restrict=restrict, told=(*within.told, line))


@dataclass(frozen=True)
class SharedWeights:
    """Those of the networks of a restricted space for images of `channels` and logits of `classes`.

    `file`: the checkpoint of their training. `sizes`: the (width, growth, levels) that occur, where
    a budget leaves not all of them.
    """

    space: SearchSpace
    restrict: Mapping[str, Sequence[Option]]
    channels: int
    classes: int
    file: Path
    sizes: tuple[Size, ...] | None = None

    @classmethod
    def read(cls, search: Path) -> SharedWeights:
        """Those that `write` told of. Raises UserError where the search in that folder has none."""
        file = search / FOLDER / SPACE
        told = read_json(file)
        try:
            space = find_space(told["space"]).on(Axes.from_json(told["axes"]))
            restrict = {knob: tuple(options) for knob, options in told["restrict"].items()}
            task = int(told["channels"]), int(told["classes"])
            sizes = told["sizes"] and tuple((int(w), float(g), int(n)) for w, g, n in told["sizes"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{file} is damaged ({error}); expected what a search wrote") from error
        return cls(space, restrict, *task, file.with_name(CHECKPOINT), sizes)

    def write(self) -> None:
        """Tell, beside the weights, of which networks they are. Raises OSError."""
        told = {
            "space": self.space.name,
            "axes": self.space.axes.to_json(),
            "restrict": {knob: list(options) for knob, options in self.restrict.items()},
            "channels": self.channels,
            "classes": self.classes,
            "sizes": self.sizes,
        }
        self.file.parent.mkdir(exist_ok=True)
        replace_files({self.file.with_name(SPACE): json.dumps(told, indent=1).encode()})

    def knows(self, architecture: Architecture) -> bool:
        """Whether it is a network of the space."""
        return isinstance(architecture, self.space.kind)

    def build(self, seed: int = 0) -> Supernet:
        """A supernet with new weights. Raises UserError for what cannot be shared."""
        from search_spaces.supernet import Supernet

        try:
            task = self.channels, self.classes
            return Supernet(self.space, self.restrict, *task, seed=seed, sizes=self.sizes)
        except ArchitectureError as error:
            raise UserError(f"search.strategy: supernet: {error}") from error

    def open(self) -> Supernet:
        """The trained one. Raises UserError where its file is missing or is of another one."""
        supernet = self.build()
        try:
            supernet.load_state_dict(read_checkpoint(self.file)["weights"])
        except RuntimeError as error:
            raise UserError(
                f"{self.file} holds the weights of another supernet; give --dir a new folder"
            ) from error
        return supernet
