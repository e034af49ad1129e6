"""The network that a command line names."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.space import Architecture
from trainers.errors import UserError
from trainers.home import from_home


def find_architecture(name: str, shape: Sequence[int]) -> Architecture:
    """The network of a preset, an exported folder or an architecture file.

    Raises ArchitectureError where it is none of them, UserError where it does not take an input of
    `shape` (C, D, H, W), or (C, H, W) for a network of images.
    """
    from search_spaces.fitting import misfit

    architecture = named_architecture(name)
    if why := misfit(architecture, shape[1:]):
        raise UserError(f"--input {'x'.join(map(str, shape))}: {why}")
    return architecture


def named_architecture(name: str) -> Architecture:
    """The same for inputs of whatever shape. Raises ArchitectureError where it is none of them, and
    UserError for a folder that is no export."""
    from nas.config.architecture_file import load_architecture_file
    from search_spaces.registry import ARCHITECTURE, find_preset

    path = from_home(name)
    if path.is_dir():
        if not (path / ARCHITECTURE).is_file():
            raise UserError(
                f"{path} is no export: {ARCHITECTURE} is missing; make one with segnas export"
            )
        path = path / ARCHITECTURE
    return load_architecture_file(path) if path.suffix == ".json" else find_preset(name)
