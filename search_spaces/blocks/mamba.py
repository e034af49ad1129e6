"""The Mamba block as a token mixer, plain and as SlimFormer-3D uses it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import conv2d, gelu, pad, silu, softplus

from search_spaces.blocks.selective_scan import SelectiveScan


class Mamba(nn.Module):
    """A gated selective state space over the tokens, in their order (Gu and Dao 2023, Fig. 3).

    z: (B, N, C) -> (B, N, C); a token sees those before it. With two `directions` a second
    convolution and scan go from the last token to the first, and what both give is added (Vision
    Mamba, Zhu 2024, Algorithm 1): a token sees all. `mask`: (B, N, N), True where a token
    may look at another, which must divide the tokens into groups; each group is a sequence of its
    own. `size` is not used. `states` is the length of a channel's state, `kernel` that of the
    causal convolution, `expand` the inner width over C.
    """

    def __init__(
        self,
        channels: int,
        states: int = 16,
        kernel: int = 4,
        expand: int = 2,
        directions: int = 1,
    ) -> None:
        super().__init__()
        inner, rank = expand * channels, math.ceil(channels / 16)
        self.enter = nn.Linear(channels, 2 * inner, bias=False)
        self.conv, self.select, self.step, self.scan = _path(inner, rank, states, kernel)
        self.leave = nn.Linear(inner, channels, bias=False)
        _init_step(self.step)
        self.reverse = Direction(inner, rank, states, kernel) if directions == 2 else None

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if mask is None:
            return self._mix(z, None)
        leader = mask.int().argmax(-1)  # (B, N): the first token of each one's group
        leader, order = leader.sort(dim=1, stable=True)  # groups one after the other
        start = pad(leader[:, 1:] != leader[:, :-1], (1, 0), value=True)
        place = order[..., None].expand_as(z)
        mixed = self._mix(z.gather(1, place), start)
        return torch.empty_like(mixed).scatter(1, place, mixed)

    def macs_beside_children(self, inputs: tuple[Any, ...], output: torch.Tensor) -> int:
        """The causal convolution, by the weight of a layer that is not called: every token meets
        every tap, channel by channel."""
        batch, tokens, _channels = inputs[0].shape
        directions = 1 if self.reverse is None else 2
        return directions * batch * tokens * self.conv.weight.numel()

    def _mix(self, z: torch.Tensor, start: torch.Tensor | None) -> torch.Tensor:
        u, gate = self.enter(z).chunk(2, dim=-1)  # (B, N, inner) each
        y = _scanned(self, u, start)
        if self.reverse is not None:
            if start is not None:  # the end of a group is where it starts from the other side
                start = pad(start[:, 1:], (0, 1), value=True).flip(1)
            y = y + _scanned(self.reverse, u.flip(1), start).flip(1)
        return self.leave(y * silu(gate))


class Direction(nn.Module):
    """The layers of a second direction of `Mamba`."""

    def __init__(self, inner: int, rank: int, states: int, kernel: int) -> None:
        super().__init__()
        self.conv, self.select, self.step, self.scan = _path(inner, rank, states, kernel)
        _init_step(self.step)


class SummaryMamba(nn.Module):
    """Mamba, followed by linear maps `q` and `proj` of one token in each sequence.

    z: (B, N, C) -> (B, N, C); `mask` as in `Mamba`. These are the layers that SlimFormer-3D's
    published counts hold (Table 1), at the number of tokens that they hold. The paper does not say
    what the maps do. Here they act on the last token's output, the only one of a causal scan that
    has seen all (with two `directions` every one has), with GELU between them, and the result is
    added to every token: all are mixed with all.
    """

    def __init__(self, channels: int, directions: int = 1) -> None:
        super().__init__()
        self.mamba = Mamba(channels, directions=directions)
        self.q = nn.Linear(channels, channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(
        self,
        z: torch.Tensor,
        size: tuple[int, ...] | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        y = self.mamba(z, size, mask)
        if mask is None:
            return y + self._summary(y[:, -1:])
        last = mask.shape[-1] - 1 - mask.flip(-1).int().argmax(-1)  # (B, N): of each one's group
        return y + self._summary(y).gather(1, last[..., None].expand_as(y))

    def _summary(self, y: torch.Tensor) -> torch.Tensor:
        return self.proj(gelu(self.q(y)))


def _path(
    inner: int, rank: int, states: int, kernel: int
) -> tuple[nn.Conv1d, nn.Linear, nn.Linear, SelectiveScan]:
    """Convolution, selection (of dt, b and c), step and scan of one direction."""
    return (
        nn.Conv1d(inner, inner, kernel, groups=inner),
        nn.Linear(inner, rank + 2 * states, bias=False),
        nn.Linear(rank, inner),
        SelectiveScan(inner, states),
    )


def _scanned(path: Mamba | Direction, u: torch.Tensor, start: torch.Tensor | None) -> torch.Tensor:
    """Convolved, and scanned by what is selected of it: (B, N, inner) -> the same."""
    u = silu(_convolve(path.conv, u, start))
    rank = path.step.in_features
    states = (path.select.out_features - rank) // 2
    dt, b, c = path.select(u).split([rank, states, states], dim=-1)
    return path.scan(u, softplus(path.step(dt)), b, c, start)


def _convolve(conv: nn.Conv1d, u: torch.Tensor, start: torch.Tensor | None) -> torch.Tensor:
    """A token and those before it, in 2D: torch's kernel of one dimension is five times slower
    here. Where groups start, each token's taps are laid out, those of other groups zero."""
    kernel, stride = conv.kernel_size[0], 1
    u = pad(u, (0, 0, kernel - 1, 0))
    if start is not None:
        group = pad(start.cumsum(1), (kernel - 1, 0))
        taps, groups = u.unfold(1, kernel, 1), group.unfold(1, kernel, 1)
        taps = taps * (groups == groups[..., -1:])[:, :, None]  # (B, N, inner, kernel)
        u, stride = taps.mT.flatten(1, 2), kernel
    image = u.transpose(1, 2)[..., None]
    convolved = conv2d(image, conv.weight[..., None], conv.bias, (stride, 1), groups=image.shape[1])
    return convolved.squeeze(-1).transpose(1, 2)


def _init_step(step: nn.Linear) -> None:
    """Steps dt spread log-uniformly from 0.001 to 0.1 (Gu and Dao 2023, Sec. 3.6)."""
    nn.init.uniform_(step.weight, -(step.in_features**-0.5), step.in_features**-0.5)
    with torch.no_grad():
        exponent = torch.empty_like(step.bias).uniform_(math.log(1e-3), math.log(0.1))
        dt = exponent.exp()
        step.bias.copy_(dt + (-torch.expm1(-dt)).log())  # the inverse of softplus
