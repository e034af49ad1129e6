"""Nested values under dotted names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


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


def with_left_out(
    model: BaseModel, dump: Mapping[str, Any], beside: Mapping[str, Any]
) -> dict[str, Any]:
    """`dump` of `model` with what it leaves out and `beside`, the dump of a like model, has."""
    told = dict(dump)
    for key in (key for key in beside if key in type(model).model_fields):
        value = getattr(model, key)
        if key not in dump:
            told[key] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        elif isinstance(value, BaseModel):
            told[key] = with_left_out(value, dump[key], beside[key])
    return told
