"""Architectures: typed records of networks, which have a key, strides and a way to build them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from search_spaces.axes import ALIKE, Axes, AxesError
from search_spaces.choices import ArchitectureError, Part
from search_spaces.stages import Stage

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Architecture(Part):
    """One network of a space. Subclasses name their `space` and build themselves."""

    space: ClassVar[str]

    @cached_property
    def key(self) -> str:
        """Ten hex digits of the canonical JSON's hash; names the network everywhere."""
        record = {"space": self.space, **self.canonical().to_json()}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:10]

    def stride(self) -> int:
        """The input's side over that of the deepest map, along the axis that is halved most."""
        raise NotImplementedError

    def strides(self) -> tuple[int, ...]:
        """Of what each axis of the input must be a multiple."""
        return (self.stride(),) * spatial_dims(self)

    def with_axes(self, axes: Axes) -> Self:
        """The network for such axes; itself, where it can only treat all axes alike."""
        return self

    def has_idle_level(self) -> bool:
        """Whether it has levels that are no coarser than those above."""
        return False

    def picture(self) -> Sequence[Stage]:
        """The stages that a drawing of it shows, in the order of computation; () for none."""
        return ()

    def build(self, in_channels: int, out_channels: int) -> nn.Module:
        """A network from (B, in_channels, D, H, W) to logits (B, out_channels, D, H, W)."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AxialArchitecture(Architecture):
    """An architecture whose strides, powers of two, and kernels may differ by axis.

    `axes` follows from the data and is not searched. It is not written where it has no effect.
    """

    axes: Axes = ALIKE

    @property
    def steps(self) -> int:
        """How often the axis is halved that is halved most, were all alike."""
        return self.stride().bit_length() - 1

    @property
    def own_axes(self) -> Axes:
        """The axes that it has: those of the plane alone, for networks of slices."""
        return self.axes.plane() if spatial_dims(self) == 2 else self.axes

    def strides(self) -> tuple[int, ...]:
        return self.own_axes.between(0, self.steps)

    def with_axes(self, axes: Axes) -> Self:
        return replace(self, axes=axes)

    def has_idle_level(self) -> bool:
        return not self.own_axes.halving(self.steps)

    def canonical(self) -> Self:
        canonical = super().canonical()
        return replace(canonical, axes=canonical.own_axes.canonical(canonical.steps))

    def to_json(self) -> dict[str, Any]:
        axes = {} if self.axes == ALIKE else {"axes": self.axes.to_json()}
        return super().to_json() | axes

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str = "architecture") -> Self:
        if not isinstance(values, Mapping) or "axes" not in values:
            return super().from_json(values, where)
        choices = {name: value for name, value in values.items() if name != "axes"}
        try:
            axes = Axes.from_json(values["axes"])
        except AxesError as error:
            raise ArchitectureError(f"{where}.{error}") from None
        return super().from_json(choices, where).with_axes(axes)


@dataclass(frozen=True, kw_only=True)
class LevelledArchitecture(AxialArchitecture):
    """One of levels, each coarser than the one above it; -1 is the image."""

    def divisor(self, level: int) -> int:
        """The image's side over that of a level's map, were all axes alike."""
        raise NotImplementedError

    def resolution(self, level: int) -> int:
        """How many steps lead to the maps of a level."""
        return self.divisor(level).bit_length() - 1 if level >= 0 else 0

    def factor(self, level: int) -> tuple[int, ...]:
        """By which a level divides each axis of the one above it."""
        return self.axes.between(self.resolution(level - 1), self.resolution(level))

    def kernel(self, level: int) -> tuple[int, ...]:
        """Of a level's 3^3 convolutions."""
        return self.axes.kernel(self.resolution(level))


def axes_of(architecture: Architecture) -> Axes:
    """How its axes differ; all are alike for an architecture that cannot have it otherwise."""
    return getattr(architecture, "axes", ALIKE)


def spatial_dims(architecture: Architecture) -> int:
    """2 for networks of images (B, C, H, W), by a field or attribute of that name; else 3."""
    return getattr(architecture, "spatial_dims", 3)
