"""The cores that this process may use."""

from __future__ import annotations


def usable_cores() -> int:
    """How many may compute at a time, by the affinity and by the quota of the container."""
    from joblib import cpu_count

    return int(cpu_count())
