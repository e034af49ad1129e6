"""Instance and group normalisation that spread every plane over a whole GPU.

CUDA's `instance_norm` gives a plane of 96^3 voxels to one block of threads, `group_norm` a group,
and both copy what is channels last. What is here equals them but for rounding, in value and
gradient, keeps the layout, and runs on every device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import batch_norm


def spread_norm(
    x: torch.Tensor,
    groups: int,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    """Group normalisation (Wu 2018) of x (B, C, *S); as many groups as channels is instance norm.

    `weight`, `bias`: (C,) or None. Returns the type and layout of x; statistics are float32, or
    float64 where x is.
    """
    if groups == x.shape[1] and is_channels_last(x):
        return _by_cases(x, weight, bias, eps)
    result: torch.Tensor = _GroupNorm.apply(x, weight, bias, groups, eps)
    return result


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether the channels of x (B, C, *S), images or volumes, are innermost in memory."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.dim() in layouts and x.is_contiguous(memory_format=layouts[x.dim()])


def _by_cases(
    x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float
) -> torch.Tensor:
    """Instance norm of one case at a time, as batch norm of a matrix whose rows are its voxels.

    Of a matrix, and of no volume, CUDA's batch norm spreads the rows over blocks (torch's
    aten/src/ATen/native/cuda/Normalization.cu, `batch_norm_choose_impl`).
    """
    last = x.movedim(1, -1)  # (B, *S, C)
    cases = [
        batch_norm(rows, None, None, weight, bias, training=True, eps=eps)
        for rows in last.flatten(1, -2)  # (N, C)
    ]
    made = torch.stack(cases) if len(cases) > 1 else cases[0]
    return made.view(last.shape).movedim(-1, 1)


class _GroupNorm(torch.autograd.Function):
    """In any layout, by reductions and products, which CUDA spreads.

    With u = (x - mean) / deviation and a group of n values, the gradient of y = w u + b is
    (w dy - mean of w dy - u * mean of w dy u) / deviation, means over the group.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        groups: int,
        eps: float,
    ) -> torch.Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        var, own = torch.var_mean(wide, _spatial(x), correction=0)  # (B, C)
        mean = _group_mean(own, groups)
        rstd = (_group_mean(var + (own - mean).square(), groups) + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.groups, ctx.bias = groups, None if bias is None else bias.dtype
        scale = rstd if weight is None else rstd * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        return _sum_of_products(x, shift, (x, scale))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        kind, voxels = mean.dtype, x[0, 0].numel()
        dy = gradient.sum(_spatial(x), dtype=kind)  # (B, C)
        products = gradient.to(kind) * x  # which half precision may not hold
        dy_u = (products.sum(_spatial(x)) - mean * dy) * rstd
        scale, w_dy, w_dy_u = (t if weight is None else t * weight for t in (rstd, dy, dy_u))
        of_u = _group_mean(w_dy_u, ctx.groups) * rstd.square() / -voxels
        of_one = _group_mean(w_dy, ctx.groups) * rstd / -voxels - mean * of_u
        dx = _sum_of_products(x, of_one, (x, of_u), (gradient, scale))
        dw = None if weight is None else dy_u.sum(0).to(weight.dtype)
        db = None if ctx.bias is None else dy.sum(0).to(ctx.bias)
        return dx, dw, db, None, None


def _spatial(x: torch.Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.dim()))


def _group_mean(t: torch.Tensor, groups: int) -> torch.Tensor:
    """t (B, C) -> (B, C), in every channel the mean of its group's."""
    if groups == t.shape[1]:
        return t
    apart = t.unflatten(1, (groups, -1))
    return apart.mean(2, keepdim=True).expand_as(apart).flatten(1)


def _sum_of_products(
    like: torch.Tensor, shift: torch.Tensor, *terms: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """shift + the sum of t * factor; t (B, C, *S), shift and factors (B, C). In the type and layout
    of `like`, rounded once."""
    ones = [1] * (like.dim() - 2)
    total = shift.reshape(*shift.shape, *ones)
    for number, (t, factor) in enumerate(terms, start=1):
        rounded = torch.empty_like(like) if number == len(terms) else None
        total = torch.addcmul(total, t, factor.reshape(*factor.shape, *ones), out=rounded)
    return total
