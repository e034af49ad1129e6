"""Numbers and architectures as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "—"


def human(value: float | None, unit: str = "") -> str:
    """Three significant digits for people: 12.3 k, 4.1 M, 8.7 ms; a dash for the unknown."""
    if value is None:
        return UNKNOWN
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # 999,999 is 1 M, not 1e+03 k
            value, unit = value / size, prefix + unit
            break
    return f"{value:.3g} {unit}".rstrip()


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
