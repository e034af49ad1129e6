"""The spaces and their presets, as tables and as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nas.pareto.objectives import objective
from nas.report.plain_table import plain_table
from search_spaces.fitting import misfit
from search_spaces.space import Architecture, SearchSpace, spatial_dims

if TYPE_CHECKING:
    from nas.cost.count import Cost
    from nas.cost.memory import Memory
    from nas.cost.paper_conventions import PublishedCount

CLASSES = 4


@dataclass(frozen=True)
class Preset:
    """A named architecture for so many channels and classes.

    `cost`: of the size asked for, where the architecture takes it.
    """

    name: str
    architecture: Architecture
    in_channels: int
    classes: int
    params: int
    cost: Cost | None

    def to_json(self) -> dict[str, Any]:
        """What names it, what it takes, what it costs."""
        return {
            "name": self.name,
            "space": self.architecture.space,
            "key": self.architecture.key,
            "spatial_dims": spatial_dims(self.architecture),
            "stride": self.architecture.stride(),
            "in_channels": self.in_channels,
            "classes": self.classes,
            "params": self.params,
            **({} if self.cost is None else work_json(self.cost)),
        }


def describe_presets(
    named: Mapping[str, Architecture], shape: Sequence[int] = (1,), classes: int = CLASSES
) -> list[Preset]:
    """`shape`: the input's channels, and then its size if the work is to be counted."""
    # Here, for spaces are listed without PyTorch.
    from nas.cost.count import cost_of, count_params
    from search_spaces.meta_network import build_on_meta

    channels, *patch = shape
    found = []
    for name, one in named.items():
        counts = patch and not misfit(one, patch)
        cost = cost_of(one, channels, classes, tuple(patch)) if counts else None
        params = cost.params if cost else count_params(build_on_meta(one, channels, classes))
        found.append(Preset(name, one, channels, classes, params, cost))
    return found


def work_json(cost: Cost) -> dict[str, Any]:
    """The work of one pass; its least and the named shares only where there are any."""
    least = {} if cost.macs_least is None else {"macs_least": cost.macs_least}
    named = {"named": dict(cost.named)} if cost.named else {}
    return {"macs": cost.macs, "flops": cost.flops, **least, **named}


def cost_text(cost: Cost) -> str:
    """One line: parameters, MACs with their least and named shares, FLOPs."""
    notes = [] if cost.macs_least is None else [f"at least {cost.macs_least / 1e9:.4g}"]
    notes += [f"{name.replace('_', ' ')} {n / 1e9:.4g}" for name, n in cost.named.items()]
    return (
        f"{cost.params:,} parameters, {cost.macs / 1e9:.4g} GMACs"
        f"{' (' + ', '.join(notes) + ')' if notes else ''}, {cost.flops / 1e9:.4g} GFLOPs"
    )


def memory_text(memory: Memory, batch: int, precision: str) -> str:
    """One line: the memory of a pass and of a training step of `batch`."""
    sizes = {name: objective("memory").exact(n) for name, n in vars(memory).items()}
    return (
        f"memory: {sizes['inference']} for a pass, {sizes['training']} for a training step of "
        f"batch {batch} in {precision} ({sizes['weights']} of weights, {sizes['activations']} of "
        "activations)"
    )


def published_text(count: PublishedCount) -> str:
    """The number that belongs beside a paper's, and how it is counted."""
    least = "" if count.least is None else f"{count.least / 1e9:.2f} to "
    unit, about = count.convention.unit, count.convention.about
    return f"as published: {least}{count.most / 1e9:.2f} G{unit}\n{about}"


def space_json(space: SearchSpace) -> dict[str, Any]:
    return {
        "name": space.name,
        "about": _about(space),
        "size": space.size(),
        "knobs": [
            {"name": k.name, "options": list(k.options), "doc": k.doc} for k in space.knobs()
        ],
        "presets": list(space.presets()),
    }


def spaces_table(spaces: Mapping[str, SearchSpace]) -> Table:
    """A row a space."""
    whole = ("space", "size", "presets")
    table = plain_table(("space", "size", "knobs", "presets"), whole=whole)
    for space in spaces.values():
        knobs = ", ".join(knob.name for knob in space.knobs())
        table.add_row(space.name, f"{space.size():.2g}", knobs, "\n".join(space.presets()))
        table.add_section()
    return table


def space_details(space: SearchSpace, presets: Sequence[Preset]) -> Group:
    """All about one space: its knobs with their options, and its presets."""
    knobs = plain_table(("knob", "options, the first by default", "meaning"), whole=("knob",))
    for knob in space.knobs():
        knobs.add_row(knob.name, ", ".join(map(str, knob.options)), knob.doc)
    heading = Text(f"{space.name}: {_about(space)}", style="bold")
    return Group(heading, f"{space.size():,} spellings of networks", knobs, presets_table(presets))


def presets_table(presets: Sequence[Preset]) -> Group:
    """A table a space, a row a preset; a column of work where it was counted for any of them."""
    spaces = dict.fromkeys(preset.architecture.space for preset in presets)
    tables = [
        _presets_of(space, [p for p in presets if p.architecture.space == space])
        for space in spaces
    ]
    channels = {f"{p.in_channels} input channels, {p.classes} classes" for p in presets}
    return Group(*tables, *channels)


def _presets_of(space: str, presets: Sequence[Preset]) -> Table:
    work = ("GMACs",) if any(preset.cost for preset in presets) else ()
    names = ("preset", "key", "axes", "stride", "parameters", *work)
    table = plain_table(names[:2], names[2:], whole=names, title=f"presets of {space}")
    for preset in presets:
        table.add_row(
            preset.name,
            preset.architecture.key,
            str(spatial_dims(preset.architecture)),
            str(preset.architecture.stride()),
            f"{preset.params:,}",
            *(gmacs(preset.cost) for _ in work),
        )
    return table


def gmacs(cost: Cost | None) -> str:
    """`10.71`, or `3.839 to 10.71` where the input decides."""
    if cost is None:
        return "-"
    least = "" if cost.macs_least is None else f"{cost.macs_least / 1e9:.4g} to "
    return f"{least}{cost.macs / 1e9:.4g}"


def _about(space: SearchSpace) -> str:
    """The first line of its networks' description."""
    return (inspect.getdoc(space.kind) or "").partition("\n")[0].partition(";")[0].rstrip(".")
