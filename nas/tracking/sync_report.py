"""What a synchronisation sent."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """How much a synchronisation sent.

    `made`: new runs. `completed`: earlier runs that lacked something. `epochs`: points added to the
    curves of both. `killed`: runs marked KILLED, for no search goes on with them. `closed`: whether
    the search's own run was brought to its end. `failed`: why the rest could not be sent, if so.
    """

    made: int = 0
    completed: int = 0
    epochs: int = 0
    killed: int = 0
    closed: int = 0
    failed: str | None = None

    def __add__(self, other: SyncReport) -> SyncReport:
        sums = {
            f.name: getattr(self, f.name) + getattr(other, f.name)
            for f in fields(self)
            if f.name != "failed"
        }
        return SyncReport(**sums, failed=other.failed or self.failed)

    def __bool__(self) -> bool:
        """Whether anything was sent."""
        return any((self.made, self.completed, self.epochs, self.killed, self.closed))
