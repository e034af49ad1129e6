"""Parameters of a test of which every run tries some, and `-m slow` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def and_slow(quick: Iterable[Any], slow: Iterable[Any]) -> list[Any]:
    """Both, the latter marked `slow`."""
    return [*quick, *(pytest.param(value, marks=pytest.mark.slow) for value in slow)]
