"""The commands that tell of networks without training any: cost, spaces, presets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console, RenderableType

from trainers.errors import UserError

WIDTH = 120  # of tables that go into a file or a pipe


def show_cost(options: argparse.Namespace) -> int:
    """`segnas cost NETWORK --input CxDxHxW --classes N`."""
    from nas.cost import cost_of
    from nas.export import ARCHITECTURE
    from nas.listing import cost_text, misfit, work_json
    from search_spaces.registry import find_preset, load_architecture_file

    path = Path(options.network)
    if path.is_dir() or path.suffix == ".json":
        architecture = load_architecture_file(path / ARCHITECTURE if path.is_dir() else path)
    else:
        architecture = find_preset(options.network)
    channels, *patch = options.input
    sizes = "x".join(map(str, options.input))
    if why := misfit(architecture, patch):
        raise UserError(f"--input {sizes}: {why}")
    cost = cost_of(architecture, channels, options.classes, tuple(patch))
    if options.json:
        figures = {"params": cost.params, **work_json(cost)}
        print(json.dumps({"key": architecture.key, **figures}))
    else:
        print(f"{architecture.key}: {cost_text(cost)} for one input of {sizes}")
    return 0


def show_spaces(options: argparse.Namespace) -> int:
    """`segnas spaces [SPACE]`."""
    from nas.listing import describe_presets, space_details, space_json, spaces_table
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
    from nas.listing import describe_presets, presets_table
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
