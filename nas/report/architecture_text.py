"""Architectures as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def compact(value: Any) -> str:
    """An architecture on one line: `width 16, tokens (prune 0.5, gates both/none)`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_nested(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(part, (Mapping, list, tuple)) for part in value)
        return (" " if nested else "/").join(_nested(part) for part in value) or "none"
    return str(value)


def _nested(value: Any) -> str:
    return f"({compact(value)})" if isinstance(value, Mapping) else compact(value)
