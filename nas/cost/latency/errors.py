"""The error of a network that cannot be measured."""

from __future__ import annotations


class LatencyError(Exception):
    """This network cannot be measured with this backend and precision.

    Another network can be, or this one with another backend or precision.
    """
