"""Mamba's selective scan (Gu and Dao 2023, Sec. 3.2) in plain PyTorch."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from search_spaces.blocks.exporting import exporting
from search_spaces.blocks.unrolled_scan import LONGEST_CHUNK, unrolled_scan

CPU_ELEMENTS = 2**19  # states worked on at once: what fits into a core's cache
GPU_ELEMENTS = 2**25  # and what fills a GPU


class SelectiveScan(nn.Module):
    """The scan with its learned decay A, a negative number a channel and state, and skip D.

    u, dt: (B, L, D), b, c: (B, L, N) -> (B, L, D); `start` as in `selective_scan`. A starts at
    -1 ... -N and D at 1 (S4D-real; Gu and Dao 2023, Sec. 3.6).
    """

    fixes_patch: ClassVar[bool] = True  # see search_spaces.offers

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        decay = torch.arange(1, states + 1, dtype=torch.float32)
        self.log_decay = nn.Parameter(decay.log().repeat(channels, 1))
        self.skip = nn.Parameter(torch.ones(channels))

    def forward(
        self,
        u: torch.Tensor,
        dt: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        start: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return selective_scan(u, dt, -self.log_decay.exp(), b, c, self.skip, start)

    def own_macs(self, u: torch.Tensor, *_: Any) -> dict[str, int]:
        """The customary 9 FLOPs a token, channel and state, two FLOPs a multiply-accumulate."""
        return {"selective_scan": 9 * u.numel() * self.log_decay.shape[1] // 2}


def selective_scan(
    u: torch.Tensor,
    dt: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    d: torch.Tensor,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """y_t = c_t h_t + d u_t of h_t = exp(dt_t a) h_{t-1} + dt_t b_t u_t, from h = 0.

    u, dt: (B, L, D), dt >= 0; a: (D, N), negative; b, c: (B, L, N); d: (D,) -> (B, L, D) like u.
    `start`: (B, L) bool, True where a token starts a sequence of its own and so forgets the ones
    before it. Time and memory are linear in L: chunks of L are scanned side by side, twice where
    there are several (the second time from the state that the chunks before leave), and states
    are computed again for the gradient. Every decay is a product of numbers of at most 1, so
    nothing overflows. On CUDA the kernel of `mamba_ssm` does the work where it can be imported. A
    network that is traced or exported gets the steps one by one, for its L.
    """
    exported = exporting()
    kernel = _compiled_kernel() if u.is_cuda and start is None and not exported else None
    if kernel is not None:
        return _by_kernel(kernel, u, dt, a, b, c, d)
    kind = torch.promote_types(u.dtype, torch.float32)
    wide, dt, a, b, c = (t.to(kind) for t in (u, dt, a, b, c))
    scan = unrolled_scan if exported else _Scan.apply
    y = scan(wide * dt, dt, a, b, c, start)
    return (y + d * wide).to(u.dtype)


@cache
def _compiled_kernel() -> Callable[..., torch.Tensor] | None:
    try:
        module = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    except ImportError:
        return None
    return module.selective_scan_fn


def _by_kernel(
    kernel: Callable[..., torch.Tensor],
    u: torch.Tensor,
    dt: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    d: torch.Tensor,
) -> torch.Tensor:
    """The kernel wants the tokens last and one type for what varies with them."""
    u_t, dt_t, b_t, c_t = (t.to(u.dtype).transpose(1, 2).contiguous() for t in (u, dt, b, c))
    return kernel(u_t, dt_t, a.float(), b_t, c_t, d.float()).transpose(1, 2)


class _Scan(torch.autograd.Function):
    """The sum over the states of c_t h_t, where h_t = exp(dt_t a) h_{t-1} + b_t x_t.

    Inside, tensors are folded to (T, S, ...): T steps of S = B * chunks rows, and states are
    (T, N, S, D) with the channels, which all operations share, innermost.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        dt: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        c: torch.Tensor,
        start: torch.Tensor | None,
    ) -> torch.Tensor:
        chunks = _Chunks(x, dt, a, b, start)
        c_folded = chunks.fold(c)
        first = chunks.first_states()
        y_folded = torch.empty_like(chunks.x)
        for rows in chunks.slices():
            decay, h = chunks.terms(rows)
            h[0].addcmul_(decay[0], first[:, rows])
            for t in chunks.later:
                h[t].addcmul_(decay[t], h[t - 1])
            torch.sum(h.mul_(_per_state(c_folded[:, rows])), 1, out=y_folded[:, rows])
        ctx.save_for_backward(x, dt, a, b, c, start, first)
        return chunks.unfold(y_folded)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, dt, a, b, c, start, first = ctx.saved_tensors
        chunks = _Chunks(x, dt, a, b, start)
        c_folded, dy_folded = chunks.fold(c), chunks.fold(dy)
        last = chunks.last_gradients(c_folded, dy_folded)
        dx, ddt = torch.empty_like(chunks.x), torch.empty_like(chunks.dt)
        db, dc = torch.empty_like(chunks.b), torch.empty_like(c_folded)
        da = torch.zeros_like(chunks.a)
        for rows in chunks.slices():
            decay, inject = chunks.terms(rows)
            h = inject.new_empty((chunks.steps + 1, *inject.shape[1:]))
            h[0] = first[:, rows]
            for t in (0, *chunks.later):
                torch.addcmul(inject[t], decay[t], h[t], out=h[t + 1])
            g = chunks.gradients(decay, c_folded[:, rows], dy_folded[:, rows], last[:, rows])
            product = inject  # its memory, which is free from here on
            by_token = (dy_folded[:, None, rows], chunks.x[:, None, rows], chunks.dt[:, None, rows])
            dc[:, rows] = torch.mul(h[1:], by_token[0], out=product).sum(-1).mT
            db[:, rows] = torch.mul(g, by_token[1], out=product).sum(-1).mT
            torch.mul(g, _per_state(chunks.b[:, rows]), out=product)
            torch.sum(product, 1, out=dx[:, rows])
            exponent = decay.mul_(h[:-1]).mul_(g)  # the gradient of dt_t a
            torch.sum(torch.mul(exponent, chunks.a, out=product), 1, out=ddt[:, rows])
            da += exponent.mul_(by_token[2]).sum((0, 2), keepdim=True)[0]
        gradients = [chunks.unfold(t) for t in (dx, ddt, db, dc)]
        return gradients[0], gradients[1], da[:, 0].mT, gradients[2], gradients[3], None


class _Chunks:
    """A batch of sequences cut into chunks of `steps` tokens, and what the scans of both
    directions share.

    `later`: the steps but the first. On the meta device, where they would only repeat what the
    first one does, there are none, and one slice of rows: the memory is the same.
    """

    def __init__(
        self,
        x: torch.Tensor,
        dt: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        start: torch.Tensor | None,
    ) -> None:
        self.batch, self.length = x.shape[:2]
        self.steps = max(min(self.length, LONGEST_CHUNK), 1)
        self.count = math.ceil(self.length / self.steps)
        self.later = range(1, 1 if x.is_meta else self.steps)
        self.x, self.dt, self.b = self.fold(x), self.fold(dt), self.fold(b)
        self.a = a.mT[:, None].contiguous()  # (N, 1, D)
        self.keep = None if start is None else self.fold((~start)[..., None].to(x.dtype))

    def fold(self, t: torch.Tensor) -> torch.Tensor:
        """(B, L, K) -> (T, S, K); tokens of zeros fill the last chunk and change no state."""
        t = pad(t, (0, 0, 0, self.steps * self.count - self.length))
        return t.reshape(-1, self.steps, t.shape[-1]).transpose(0, 1).contiguous()

    def unfold(self, t: torch.Tensor) -> torch.Tensor:
        """The inverse of `fold`."""
        return t.transpose(0, 1).reshape(self.batch, -1, t.shape[-1])[:, : self.length]

    def slices(self) -> Iterator[slice]:
        """Ranges of rows whose states fit into the cache."""
        elements = GPU_ELEMENTS if self.x.is_cuda else CPU_ELEMENTS
        rows = self.batch * self.count
        at_once = max(elements // (self.steps * self.a.numel()), 1)
        starts = range(0, at_once if self.x.is_meta else rows, at_once)
        return (slice(i, min(i + at_once, rows)) for i in starts)

    def terms(self, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """exp(dt_t a) and b_t x_t, both (T, N, rows, D)."""
        decay = (self.dt[:, None, rows] * self.a).exp_()
        if self.keep is not None:
            decay *= self.keep[:, None, rows]
        return decay, self.x[:, None, rows] * _per_state(self.b[:, rows])

    def gradients(
        self, decay: torch.Tensor, c: torch.Tensor, dy: torch.Tensor, last: torch.Tensor | None
    ) -> torch.Tensor:
        """The gradient of every state, (T, N, rows, D); `last`: what later chunks add."""
        g = dy[:, None] * _per_state(c)
        if last is not None:
            g[-1] += last
        for t in reversed(self.later):
            g[t - 1].addcmul_(decay[t], g[t])
        return g

    def first_states(self) -> torch.Tensor:
        """The state before every chunk, (N, S, D)."""
        left, through = self._borders()
        if self.count > 1:
            for rows in self.slices():
                decay, h = self.terms(rows)
                for t in self.later:
                    h[t].addcmul_(decay[t], h[t - 1])
                left[:, rows], through[:, rows] = h[-1], decay.prod(0)
        return self._carry(left, through, range(self.count))

    def last_gradients(self, c: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
        """The gradient that reaches the state after every chunk, (N, S, D)."""
        left, through = self._borders()
        if self.count > 1:
            for rows in self.slices():
                decay, _ = self.terms(rows)
                g = self.gradients(decay, c[:, rows], dy[:, rows], None)
                left[:, rows], through[:, rows] = g[0] * decay[0], decay.prod(0)
        return self._carry(left, through, range(self.count - 1, -1, -1))

    def _borders(self) -> tuple[torch.Tensor, torch.Tensor]:
        zeros = self.x.new_zeros((self.a.shape[0], *self.x.shape[1:]))
        return zeros, zeros.clone()

    def _carry(self, left: torch.Tensor, through: torch.Tensor, order: range) -> torch.Tensor:
        """What enters each chunk, where one leaves `left` + `through` times what entered it."""
        left, through = (t.unflatten(1, (self.batch, self.count)) for t in (left, through))
        entering = torch.empty_like(left)
        carried = torch.zeros_like(left[:, :, 0])
        for chunk in () if left.is_meta else order:
            entering[:, :, chunk] = carried
            carried = torch.addcmul(left[:, :, chunk], through[:, :, chunk], carried)
        return entering.flatten(1, 2)


def _per_state(t: torch.Tensor) -> torch.Tensor:
    """(T, S, N) -> (T, N, S, 1)."""
    return t.mT[..., None]
