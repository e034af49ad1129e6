"""The network that a command line names."""

from __future__ import annotations

from pathlib import Path

from search_spaces.space import Architecture


def find_architecture(name: str) -> Architecture:
    """The network of a preset, an exported folder or an architecture file.

    Raises ArchitectureError where it is none of them.
    """
    from search_spaces.registry import ARCHITECTURE, find_preset, load_architecture_file

    path = Path(name)
    if path.is_dir() or path.suffix == ".json":
        return load_architecture_file(path / ARCHITECTURE if path.is_dir() else path)
    return find_preset(name)
