"""What ends a measurement."""

from __future__ import annotations


class LatencyError(Exception):
    """This network cannot be measured so; another one, or another backend or precision, may be."""
