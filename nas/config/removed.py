"""Keys that version 0.1 had: its files still open."""

from __future__ import annotations

from typing import Any


def without_removed(values: Any, key: str, default: object) -> Any:
    """`values` without a key that was removed, where it says what is always done now.

    Raises ValueError for any other value of it.
    """
    if not isinstance(values, dict) or key not in values:
        return values
    if values[key] != default:
        raise ValueError(
            f"{key} = {values[key]!r} was removed after version 0.1, for it gained nothing "
            f"(docs/results.md); remove {key}"
        )
    return {name: value for name, value in values.items() if name != key}
