"""The selective scan as a graph of plain operations, for networks that leave Python."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

LONGEST_CHUNK = 64  # tokens scanned one after the other; chunks are scanned side by side


def unrolled_scan(
    x: torch.Tensor,
    dt: torch.Tensor,
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    start: torch.Tensor | None,
) -> torch.Tensor:
    """The sum over the states of c_t h_t, where h_t = exp(dt_t a) h_{t-1} + b_t x_t, from h = 0.

    x, dt: (B, L, D), b, c: (B, L, N), a: (D, N), negative, start: (B, L) bool -> (B, L, D). Nothing
    is written in place, and any B goes through one graph; L is fixed. Inside, a chunk is a row:
    (T, B, K, ...) for T steps of K chunks, and states are (T, N, B, K, D).
    """
    length = int(x.shape[1])
    steps = min(length, LONGEST_CHUNK)
    count = -(-length // steps)

    def fold(t: torch.Tensor) -> torch.Tensor:
        full = pad(t, (0, 0, 0, steps * count - length))
        return full.unflatten(1, (count, steps)).movedim(2, 0)

    decay = (fold(dt)[:, None] * a.mT[:, None, None]).exp()
    if start is not None:
        decay = decay * fold((~start)[..., None].to(x.dtype))[:, None]
    inject = fold(x)[:, None] * _per_state(fold(b))
    own, through = [inject[0]], [decay[0]]  # from a state of 0, and of 1, before the chunk
    for t in range(1, steps):
        own.append(decay[t] * own[-1] + inject[t])
        through.append(decay[t] * through[-1])
    entering = [torch.zeros_like(inject[0, :, :, 0])]
    for chunk in range(count - 1):
        entering.append(own[-1][:, :, chunk] + through[-1][:, :, chunk] * entering[-1])
    states = torch.stack(own) + torch.stack(through) * torch.stack(entering, 2)
    y = (states * _per_state(fold(c))).sum(1)
    return y.movedim(0, 2).flatten(1, 2)[:, :length]


def _per_state(t: torch.Tensor) -> torch.Tensor:
    """(T, B, K, N) -> (T, N, B, K, 1)."""
    return t.movedim(-1, 1)[..., None]
