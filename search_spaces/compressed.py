"""Networks that were made smaller after their training: an architecture, and the sizes left of it.

They are no space to search: `segnas compress` makes them from a trained network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from search_spaces.architecture import Architecture, axes_of, spatial_dims
from search_spaces.axes import Axes
from search_spaces.choices import ArchitectureError
from search_spaces.stages import Stage

if TYPE_CHECKING:
    from torch import nn

Sizes = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Compressed(Architecture):
    """`original` with fewer units and maps of lower rank.

    `kept`: of units, by the names that `prunable` (`search_spaces.blocks.prunable`) gives them, how
    many are left; `ranks`: of linear layers and convolutions, by path, that are two factors now. In
    the order of their names. Built, it is the original's network with these sizes and new weights:
    which units they were, the weights know. See `compressed`.
    """

    space: ClassVar[str] = "compressed"

    original: Architecture
    kept: Sizes = ()
    ranks: Sizes = ()

    @property
    def axes(self) -> Axes:
        """Those of the original."""
        return axes_of(self.original)

    @property
    def spatial_dims(self) -> int:
        """Those of the original."""
        return spatial_dims(self.original)

    def stride(self) -> int:
        return self.original.stride()

    def strides(self) -> tuple[int, ...]:
        return self.original.strides()

    def with_axes(self, axes: Axes) -> Self:
        return replace(self, original=self.original.with_axes(axes))

    def has_idle_level(self) -> bool:
        return self.original.has_idle_level()

    def picture(self) -> Sequence[Stage]:
        return self.original.picture()

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        from search_spaces.networks.shrink import shrink

        return shrink(self.original.build(in_channels, out_channels), self.kept, self.ranks)

    def canonical(self) -> Self:
        return replace(self, original=self.original.canonical())

    def to_json(self) -> dict[str, Any]:
        original = {"space": self.original.space, "architecture": self.original.to_json()}
        return {"original": original, "kept": dict(self.kept), "ranks": dict(self.ranks)}

    @classmethod
    def read(
        cls, values: object, load: Callable[[Mapping[str, Any]], Architecture]
    ) -> Architecture:
        """The inverse of `to_json`; `load` reads the record of the original.

        Raises ArchitectureError. Whether the network has what is named shows when it is built.
        """
        where = "architecture"
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"{where} is {type(values).__name__}; expected a mapping")
        if set(values) != (fields := {"original", "kept", "ranks"}):
            raise ArchitectureError(f"{where} has {sorted(values)}; expected {sorted(fields)}")
        original = load(values["original"])
        if isinstance(original, cls):
            raise ArchitectureError(f"{where}.original is compressed; expected one that is not")
        sizes = (_sizes(values[name], f"{where}.{name}") for name in ("kept", "ranks"))
        return cls(original=original, **dict(zip(("kept", "ranks"), sizes, strict=True)))


def compressed(
    architecture: Architecture, kept: Mapping[str, int], ranks: Mapping[str, int]
) -> Architecture:
    """`architecture` with these sizes; itself where there are none.

    One that is compressed already keeps its other sizes.
    """
    if not kept and not ranks:
        return architecture
    if isinstance(architecture, Compressed):
        kept = {**dict(architecture.kept), **kept}
        ranks = {**dict(architecture.ranks), **ranks}
        architecture = architecture.original
    sizes = {"kept": tuple(sorted(kept.items())), "ranks": tuple(sorted(ranks.items()))}
    return Compressed(original=architecture, **sizes)


def _sizes(values: object, where: str) -> Sizes:
    if not isinstance(values, Mapping):
        raise ArchitectureError(f"{where} is {type(values).__name__}; expected a mapping")
    for name, size in values.items():
        if type(size) is not int or size < 1:
            raise ArchitectureError(f"{where}.{name} = {size!r}; expected a whole number above 0")
    return tuple(sorted(values.items()))
