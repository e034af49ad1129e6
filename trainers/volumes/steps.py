"""What is done with the voxels of a class after the network; `postprocess` does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where the middle of a class lies from that of the class `of`: mm to the right, to the front
    and up, from `low` to `high` along each."""

    of: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What is done with one class, in this order; a step at its default is left out.

    `opening_mm`: by a ball of that radius. Then of the components that are left, which are joined
    through corners, those stay that touch one of the classes `touches` (where any does), that lie
    in the `places` (where any does), that have `volume_mm3`, and the largest `components` of them.
    Then `closing_mm`, by a ball, and `holes`, which are filled; both add what was background alone.
    """

    opening_mm: float = 0.0
    touches: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    volume_mm3: float = 0.0
    components: int | None = None
    closing_mm: float = 0.0
    holes: bool = False

    def used(self) -> dict[str, Any]:
        """The steps that do something, with their values."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name))}

    def __str__(self) -> str:
        return ", ".join(self._told()) or "nothing"

    def _told(self) -> Iterator[str]:
        if self.opening_mm:
            yield f"opening by {self.opening_mm:.3g} mm"
        if self.touches:
            yield f"components that touch {' or '.join(self.touches)}"
        if self.places:
            yield f"components in place beside {', '.join(place.of for place in self.places)}"
        if self.volume_mm3:
            yield f"components of {self.volume_mm3:.3g} mm3 and more"
        if self.components == 1:
            yield "the largest component"
        elif self.components:
            yield f"the {self.components} largest components"
        if self.closing_mm:
            yield f"closing by {self.closing_mm:.3g} mm"
        if self.holes:
            yield "holes filled"


Postprocess = Mapping[str, Steps]
"""The steps of classes by their names; of others there are none."""
