"""The channels that flow between the blocks of a network: who makes them, who reads them.

Where two maps are added, their channels are one stream; a stream goes only as a whole.
"""

from __future__ import annotations

from torch import nn

from search_spaces.blocks.conv import ResidualUnit
from search_spaces.blocks.light_conv import LightConv
from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.prunable import Place, Units, last_layer, weight_of


class Streams:
    """Streams by name. A stream that is fixed, or one with it, offers no units."""

    def __init__(self) -> None:
        self._same: dict[str, str] = {}
        self._made: list[tuple[str, Place]] = []
        self._read: list[tuple[str, Place]] = []
        self._fixed: set[str] = set()

    def make(self, name: str, *modules: nn.Module) -> None:
        """These give the stream's channels, or keep them apart: convolutions, norms."""
        self._made += [(name, Place(module)) for module in modules]

    def read(self, name: str, *modules: nn.Module, before: int = 1, offset: int = 0) -> None:
        """These take them in; see `Place`."""
        self._read += [(name, Place(module, before=before, offset=offset)) for module in modules]

    def tie(self, *names: str) -> None:
        """These are one."""
        first, *others = map(self._root, names)
        self._same |= {other: first for other in others if other != first}

    def fix(self, name: str) -> None:
        """It is left whole: something else depends on its channels."""
        self._fixed.add(name)

    def residual(self, unit: ResidualUnit, into: str, out: str) -> None:
        """A unit from one stream to another, or in one where its shortcut changes nothing."""
        first, last = unit.units[0], unit.units[-1]
        self.read(into, first[0], *_convolutions(unit.shortcut))
        self.make(out, last[0], last[1], *_convolutions(unit.shortcut))
        if unit.shortcut is not None and not _convolutions(unit.shortcut):
            self.tie(into, out)

    def joined(self, unit: ResidualUnit, into: tuple[str, str], first: int, out: str) -> None:
        """A unit of two streams, one behind the other; `first` channels are of the first."""
        self.residual(unit, into[0], out)
        self.read(into[1], unit.units[0][0], *_convolutions(unit.shortcut), offset=first)

    def light(self, unit: LightConv, name: str) -> None:
        """A unit within a stream."""
        self.make(name, unit.depthwise, unit.norm, unit.project)
        self.read(name, unit.project if unit.expand is None else unit.expand)

    def units(self) -> dict[str, Units]:
        """The channels of each stream that is read and not fixed."""
        fixed = {self._root(name) for name in self._fixed}
        found = {}
        for root in dict.fromkeys(self._root(name) for name, _ in self._read):
            made, read = (
                tuple(place for name, place in places if self._root(name) == root)
                for places in (self._made, self._read)
            )
            if root not in fixed and made:
                norms = [p.module for p in made if isinstance(p.module, nn.GroupNorm)]
                weight = weight_of(last_layer(made[0].module))
                count = weight.shape[made[0].axis(made=True)]
                sections = max((norm.num_groups for norm in norms), default=1)
                found[f"{root}.channels"] = Units("channels", count, made, read, sections)
        return found

    def _root(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name


def _convolutions(shortcut: nn.Module | None) -> list[nn.Module]:
    """Those of a shortcut, which may also pool or do nothing."""
    steps = () if shortcut is None else shortcut.children()
    return [m for m in steps if isinstance(m, nn.Conv2d | nn.Conv3d | Factors)]
