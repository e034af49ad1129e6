"""Token mixing inside local windows of the grid (Swin, Liu 2021, Sec. 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import nn
from torch.nn.functional import pad

from search_spaces.blocks.attention import ATTENTION, RECEIVED
from search_spaces.blocks.exporting import kept


class Windowed(nn.Module):
    """`mixer` in windows of `window` tokens along every axis, not across them.

    z: (B, N, C) with N = prod(size) -> (B, N, C). Windows are clipped to the grid; a grid that they
    do not divide is filled up, and the filling is masked. `shift` moves the windows by half their
    width, cyclically, with tokens that only the cycle made neighbours masked from each other.
    `dilated` windows are the grid attention of MaxViT (Tu 2022, Sec. 3.2): each takes every s-th
    token of an axis, where s spreads its tokens over the whole axis. The mixer is called as
    `mixer(z, size, mask)`, windows in the batch axis; mask is None where nothing needs one.
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(
        self, mixer: nn.Module, window: int, shift: bool = False, dilated: bool = False
    ) -> None:
        super().__init__()
        self.mixer, self.window, self.shift, self.dilated = mixer, window, shift, dilated

    def forward(self, z: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        tiling = Tiling.of(size, self.window)
        size, window = tiling.size, tiling.window
        shift = tuple(
            w // 2 if self.shift and w < length else 0
            for w, length in zip(window, size, strict=True)
        )
        x = tiling.filled(z)
        mask = None
        if tiling.is_filled or any(shift):
            mask = window_mask(size, window, shift, str(z.device), self.dilated)
            mask = mask.repeat(z.shape[0], 1, 1)
        windows = partition(_interleave(x, window) if self.dilated else _moved(x, shift), window)
        y = unpartition(self.mixer(windows, window, mask), window, x.shape[1:-1])
        if self.dilated:
            y = _interleave(y, [n // w for n, w in zip(x.shape[1:-1], window, strict=True)])
        else:
            y = _moved(y, [-s for s in shift])
        return tiling.emptied(y)

    def shows(self, inputs: tuple[Any, ...], output: torch.Tensor) -> dict[str, Any]:
        """See `search_spaces.offers`. Where the mixer is attention, that of all its windows."""
        if not hasattr(self.mixer, "received"):
            return {}
        z, size = inputs
        windows = Windowed(_Received(self.mixer), self.window, self.shift, self.dilated)
        return {ATTENTION: {RECEIVED: windows(z, size).squeeze(-1).unflatten(1, size)}}


class _Received(nn.Module):
    """A mixer that gives in the place of a token how much it is looked at."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self, z: torch.Tensor, size: tuple[int, ...], mask: torch.Tensor | None
    ) -> torch.Tensor:
        received: torch.Tensor = self.attention.received(z, size, mask)
        return received[..., None]


@dataclass(frozen=True)
class Tiling:
    """Windows side by side on a grid of that size, which is filled up where they do not divide it.

    N tokens are those of the grid, n those of a window.
    """

    size: tuple[int, ...]
    window: tuple[int, ...]

    @classmethod
    def of(cls, size: Sequence[int], window: int) -> Self:
        """Windows of that width, clipped to the grid."""
        size = numbers(size)
        return cls(size, tuple(min(window, length) for length in size))

    @property
    def filling(self) -> list[int]:
        """By how many tokens each axis is filled up."""
        return [-length % w for w, length in zip(self.window, self.size, strict=True)]

    @property
    def is_filled(self) -> bool:
        return any(self.filling)

    @property
    def grid(self) -> list[int]:
        """The size once it is filled up."""
        return [length + f for length, f in zip(self.size, self.filling, strict=True)]

    @property
    def windows(self) -> int:
        """How many there are."""
        return math.prod(-(-n // w) for w, n in zip(self.window, self.size, strict=True))

    def filled(self, z: torch.Tensor) -> torch.Tensor:
        """(B, N, C) -> (B, *S, C), zeros filled up."""
        x = z.unflatten(1, self.size)
        if self.is_filled:
            x = pad(x, [0, 0, *(p for f in reversed(self.filling) for p in (0, f))])
        return x

    def emptied(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of `filled`."""
        inside = (slice(None), *(slice(length) for length in self.size))
        return x[inside].flatten(1, -2)

    def parts(self, z: torch.Tensor) -> torch.Tensor:
        """(B, N, C) -> (B * windows, n, C)."""
        return partition(self.filled(z), self.window)

    def joined(self, windows: torch.Tensor) -> torch.Tensor:
        """The inverse of `parts`."""
        return self.emptied(unpartition(windows, self.window, self.grid))

    def places(self, device: torch.device) -> torch.Tensor:
        """(1, *S, 1): the tokens of the filled grid in order, from 1 on."""
        return torch.arange(1, math.prod(self.grid) + 1, device=device).view(1, *self.grid, 1)

    def summed(self, values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Values (B, K) at `places` (B, K) of the filled grid, 0 for none -> (B, *size)."""
        total = values.new_zeros(len(values), math.prod(self.grid) + 1)
        x = total.scatter_add(1, places, values)[:, 1:].reshape(-1, *self.grid, 1)
        return self.emptied(x).squeeze(-1).unflatten(1, self.size)

    def product_macs(self, output: torch.Tensor, width: int, keys: int) -> int:
        """Of Q K^T and its product with V, `width` channels of heads, every token of every window
        looking at `keys` others; output: (B, N, C)."""
        tokens = self.windows * math.prod(self.window)
        return 2 * len(output) * tokens * width * keys


def numbers(size: Sequence[int]) -> tuple[int, ...]:
    """The sizes as plain numbers: windows are clipped by them, in Python.

    A network that is traced or exported keeps those that it was traced with.
    """
    return tuple(map(int, size))


def partition(x: torch.Tensor, window: Sequence[int]) -> torch.Tensor:
    """(B, *S, C) -> (B * windows, prod(window), C); the windows divide S."""
    n = len(window)
    for axis in reversed(range(n)):
        x = x.unflatten(1 + axis, (-1, window[axis]))  # S_i -> S_i / w_i, w_i
    order = [0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1]
    return x.permute(order).flatten(n + 1, 2 * n).flatten(0, n)


def unpartition(windows: torch.Tensor, window: Sequence[int], size: Sequence[int]) -> torch.Tensor:
    """The inverse of `partition`: (B * windows, prod(window), C) -> (B, *size, C)."""
    n = len(window)
    counts = [length // w for w, length in zip(window, size, strict=True)]
    x = windows.unflatten(0, (-1, *counts)).unflatten(n + 1, tuple(window))
    order = [0, *(axis for i in range(1, n + 1) for axis in (i, n + i)), 2 * n + 1]
    x = x.permute(order)
    for axis in range(n):
        x = x.flatten(1 + axis, 2 + axis)
    return x


@kept(64)
def window_mask(
    size: tuple[int, ...],
    window: tuple[int, ...],
    shift: tuple[int, ...],
    device: str,
    dilated: bool = False,
) -> torch.Tensor:
    """(windows, n, n) bool for windows of n tokens: True where two tokens are truly neighbours."""
    region = torch.zeros((), dtype=torch.long, device=device)
    filled = torch.zeros((), dtype=torch.bool, device=device)
    for axis, (length, w, s) in enumerate(zip(size, window, shift, strict=True)):
        place = torch.arange(length + -length % w, device=device)
        shape = [1] * len(size)
        shape[axis] = -1
        region = 2 * region + (place < s).long().view(shape)  # 1 where the cycle brings it
        filled = filled | (place >= length).view(shape)
    marked = torch.where(filled, -1, region)[None, ..., None]  # (1, *S, 1)
    arranged = _interleave(marked, window) if dilated else _moved(marked, shift)
    ids = partition(arranged, window).squeeze(-1)  # (windows, n)
    return ids[:, :, None] == ids[:, None, :]


def _moved(x: torch.Tensor, shift: Sequence[int]) -> torch.Tensor:
    """(B, *S, C), every axis moved back by its shift, cyclically."""
    return x.roll([-s for s in shift], list(range(1, x.dim() - 1))) if any(shift) else x


def _interleave(x: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """(B, *S, C): along each axis token i * S / n + j goes to place j * n + i, n being its count.

    Its own inverse with counts S / n.
    """
    for axis, n in enumerate(counts, start=1):
        x = x.unflatten(axis, (n, -1)).transpose(axis, axis + 1).flatten(axis, axis + 1)
    return x
