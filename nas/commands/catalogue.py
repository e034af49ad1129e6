"""The commands that tell of networks without training any: cost, spaces, presets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console, RenderableType

from search_spaces.space import Architecture
from trainers.errors import UserError

WIDTH = 120  # of tables that go into a file or a pipe


def find_architecture(name: str) -> Architecture:
    """The network of a preset, an exported folder or an architecture file.

    Raises ArchitectureError where it is none of them.
    """
    from nas.export import ARCHITECTURE
    from search_spaces.registry import find_preset, load_architecture_file

    path = Path(name)
    if path.is_dir() or path.suffix == ".json":
        return load_architecture_file(path / ARCHITECTURE if path.is_dir() else path)
    return find_preset(name)


def show_cost(options: argparse.Namespace) -> int:
    """`segnas cost NETWORK --input CxDxHxW --classes N [--audit | --convention published]`."""
    from nas.commands.listing import cost_text, memory_text, misfit, published_text, work_json
    from nas.cost import cost_of, memory_of

    architecture = find_architecture(options.network)
    channels, *patch = options.input
    sizes = "x".join(map(str, options.input))
    if why := misfit(architecture, patch):
        raise UserError(f"--input {sizes}: {why}")
    task = architecture, channels, options.classes, tuple(patch)
    if options.audit:
        return _show_audit(*task, by_type=options.audit == "types", as_json=options.json)
    cost, published = cost_of(*task), None
    memory = memory_of(*task, batch=options.batch, precision=options.precision)
    if options.convention == "published":
        from nas.cost.conventions import published_count

        published = published_count(*task)
    if options.json:
        figures = {"params": cost.params, **work_json(cost), "memory": vars(memory)}
        paper = {} if published is None else {"published": published.to_json()}
        print(json.dumps({"key": architecture.key, **figures, **paper}))
    else:
        print(f"{architecture.key}: {cost_text(cost)} for one input of {sizes}")
        print(memory_text(memory, options.batch, options.precision))
        if published is not None:
            print(published_text(published))
    return 0


def _show_audit(
    architecture: Architecture,
    in_channels: int,
    classes: int,
    patch: tuple[int, ...],
    *,
    by_type: bool,
    as_json: bool,
) -> int:
    from nas.commands.audit_table import audit_table
    from nas.cost.audit import audit

    audited = audit(architecture, in_channels, classes, patch)
    if as_json:
        print(json.dumps({"key": architecture.key, **audited.to_json()}))
    else:
        _print(audit_table(audited, by_type))
    return 0


def show_spaces(options: argparse.Namespace) -> int:
    """`segnas spaces [SPACE]`."""
    from nas.commands.listing import describe_presets, space_details, space_json, spaces_table
    from search_spaces.registry import all_spaces, find_space

    if options.space is None:
        spaces = all_spaces()
        if options.json:
            print(json.dumps({"spaces": [space_json(space) for space in spaces.values()]}))
        else:
            _print(spaces_table(spaces))
        return 0
    space = find_space(options.space)
    presets = describe_presets(space.presets())
    if options.json:
        details = {"presets": [preset.to_json() for preset in presets]}
        print(json.dumps({**space_json(space), **details}))
    else:
        _print(space_details(space, presets))
    return 0


def show_presets(options: argparse.Namespace) -> int:
    """`segnas presets [--space SPACE] [--input CxDxHxW] [--classes N]`."""
    from nas.commands.listing import describe_presets, presets_table
    from search_spaces.registry import all_presets, find_space

    named = find_space(options.space).presets() if options.space else all_presets()
    presets = describe_presets(named, options.input or (1,), options.classes)
    if options.json:
        print(json.dumps({"presets": [preset.to_json() for preset in presets]}))
    else:
        _print(presets_table(presets))
    return 0


def _print(renderable: RenderableType) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    console.print(renderable, highlight=False)
