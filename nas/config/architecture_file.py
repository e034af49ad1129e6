"""Architectures in JSON files: `architecture.json`, and those that a person writes."""

from __future__ import annotations

from pathlib import Path

from search_spaces.registry import load_architecture
from search_spaces.space import Architecture, ArchitectureError
from trainers.read_json import read_json


def load_architecture_file(path: Path) -> Architecture:
    """The network in a JSON file.

    Raises UserError for what is no JSON, ArchitectureError for what is no architecture.
    """
    record = read_json(path, finite=False)  # an export's also holds its results, NaN among them
    try:
        return load_architecture(record)
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None
