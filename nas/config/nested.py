"""Nested values under dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(
    value: Any, within: tuple[type, ...] = (Mapping, list, tuple), path: str = ""
) -> Iterator[tuple[str, Any]]:
    """(path, leaf) of nested mappings and sequences: `("tokens.0.prune", 0.5)`.

    `within`: the types that are looked into; everything else is a leaf.
    """
    if not isinstance(value, within):
        yield path, value
        return
    parts: Any = dict(enumerate(value)) if isinstance(value, list | tuple) else value
    for name, part in parts.items():
        yield from leaves(part, within, f"{path}.{name}" if path else str(name))
