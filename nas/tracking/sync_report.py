"""What a synchronisation sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
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
