"""Looks into a running network: what its modules show of their decisions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import nn

from nas.cost.mac_counts import positional

Values = Mapping[str, torch.Tensor] | torch.Tensor
"""As `shows` of `search_spaces.offers` gives them: maps or tokens by name, or points."""


@dataclass(frozen=True)
class Item:
    """What one call of a module shows of a mechanism. `call`: counted from 0 in every pass."""

    mechanism: str
    module: str
    call: int = 0

    @property
    def label(self) -> str:
        """`decoder.0`, and of further calls in a pass `skips.router, call 2`."""
        return self.module + (f", call {self.call + 1}" if self.call else "")


@dataclass(frozen=True)
class _Seen:
    values: Values
    grid: tuple[int, ...] | None  # of the last convolution's map, and its batch
    batch: int


class Probe:
    """Collects what the modules of `network` show while it runs. A context manager."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._seen: dict[Item, _Seen] = {}
        self._calls: Counter[tuple[str, str]] = Counter()
        self._grid: tuple[int, ...] | None = None
        self._batch = 0
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        for name, module in self._network.named_modules():
            if hasattr(module, "shows"):
                see = partial(self._see, name)
                self._hooks.enter_context(module.register_forward_hook(see, with_kwargs=True))
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                self._hooks.enter_context(module.register_forward_hook(self._see_map))
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.close()

    def take(self) -> dict[Item, Values]:
        """What was shown since the last time, as it was, in the order of execution."""
        return {item: seen.values for item, seen in self._taken().items()}

    def take_placed(self, shape: tuple[int, int, int]) -> dict[Item, Values]:
        """The same of one pass on a single image of that shape (D, H, W), on three axes.

        Maps and tokens are (d, h, w), over the whole image; points (K, 3) voxels of it, where a
        whole number is the middle of a voxel, as `search_spaces.blocks.anchors.PositionBias` takes
        them. Tokens that fill no map are left out.
        """
        placed: dict[Item, Values] = {}
        for item, seen in self._taken().items():
            if isinstance(seen.values, torch.Tensor):
                placed[item] = _voxels(seen.values, shape)
            elif maps := _maps(seen, shape[0]):
                placed[item] = maps
        return placed

    def _taken(self) -> dict[Item, _Seen]:
        seen, self._seen = self._seen, {}
        self._calls.clear()
        return seen

    def _see(
        self,
        name: str,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Any,
    ) -> None:
        inputs = positional(module, args, kwargs)[0] if kwargs else args
        shown: Mapping[str, Values] = module.shows(inputs, output)  # type: ignore[operator]
        for mechanism, values in shown.items():
            for inner in [i for i in self._seen if _is_inside(i, name, mechanism)]:
                del self._seen[inner]
            item = Item(mechanism, name, self._calls[mechanism, name])
            self._calls[mechanism, name] += 1
            self._seen[item] = _Seen(values, self._grid, self._batch)

    def _see_map(self, _: nn.Module, __: Any, output: torch.Tensor) -> None:
        self._grid, self._batch = tuple(output.shape[2:]), len(output)


def shows_anything(network: nn.Module) -> bool:
    """Whether a module of the network has decisions to show."""
    return any(hasattr(module, "shows") for module in network.modules())


def _is_inside(item: Item, name: str, mechanism: str) -> bool:
    within = f"{name}." if name else ""
    return item.mechanism == mechanism and item.module != name and item.module.startswith(within)


def _maps(seen: _Seen, depth: int) -> dict[str, torch.Tensor]:
    """(d, h, w) each; empty where tokens fill no map."""
    assert isinstance(seen.values, Mapping)
    maps = {name: _map(values, seen, depth) for name, values in seen.values.items()}
    return {name: values.float() for name, values in maps.items() if values is not None}


def _map(values: torch.Tensor, seen: _Seen, depth: int) -> torch.Tensor | None:
    if values.dim() == 2:  # tokens (B, N)
        if seen.grid is None or len(values) != seen.batch:
            return None
        voxels = math.prod(seen.grid)
        if values.shape[1] not in (voxels, voxels + 1):
            return None
        values = values[:, -voxels:].unflatten(1, seen.grid)
    if values.dim() == 4:  # (B, d, h, w)
        return values[0] if len(values) == 1 else None
    return values if values.dim() == 3 and len(values) == depth else None  # slices (D, h, w)


def _voxels(points: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """(1, K, 3) or, of a network of the plane, (D, K, 2) points of every slice -> (K, 3) voxels."""
    sizes = points.new_tensor(shape)
    if points.shape[-1] == 3:
        return points[0] * sizes
    slices = torch.arange(len(points)).to(points)[:, None, None].expand(*points.shape[:2], 1)
    return torch.cat([slices, points * sizes[1:]], dim=-1).flatten(0, 1)
