"""Meta tensors faster than torch: networks without initial values, operators by shape alone.

On the meta device many operators are slow Python decompositions. Where only shapes matter, what
they do is known: half of the time of building a network and most of that of running it are saved.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from search_spaces.space import Architecture

aten = torch.ops.aten

_INITIALISERS = {
    nn.init.constant_,
    nn.init.kaiming_normal_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    nn.init.uniform_,
    nn.init.xavier_normal_,
    nn.init.xavier_uniform_,
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
}


@contextmanager
def gc_disabled() -> Iterator[None]:
    """Within it no garbage is collected: with all that torch holds, that is a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def build_on_meta(architecture: Architecture, in_channels: int, out_channels: int) -> nn.Module:
    """The network of `architecture`, with shapes and no values."""
    with torch.device("meta"), _Uninitialised():
        return architecture.build(in_channels, out_channels)


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors as they are where they would get random values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _INITIALISERS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def by_shape(operator: Any, args: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """What `operator`, an overload packet, gives for these arguments; None where torch has to say.

    Exact in shape and type wherever it answers; memory formats are not kept, all is contiguous.
    """
    if operator is aten.arange:
        return _range(args, named)
    rule = _RULES.get(operator)
    return None if rule is None else rule(args)


def _like(x: torch.Tensor, shape: Sequence[int] | None = None) -> torch.Tensor:
    return torch.empty(x.shape if shape is None else shape, dtype=x.dtype, device="meta")


def _float(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.is_meta and x.is_floating_point()


def _same(args: Sequence[Any]) -> torch.Tensor | None:
    return _like(args[0]) if _float(args[0]) else None


def _softmax(args: Sequence[Any]) -> torch.Tensor | None:
    """Its last argument may ask for another type."""
    return _same(args) if not args[2:] or not args[2] else None


def _in_place(args: Sequence[Any]) -> torch.Tensor | None:
    return args[0] if _float(args[0]) else None


def _normalised(args: Sequence[Any]) -> tuple[torch.Tensor, ...] | None:
    """Output, mean, deviation: only the first is ever read."""
    return (_like(args[0]),) * 3 if _float(args[0]) else None


def _pointwise(args: Sequence[Any]) -> torch.Tensor | None:
    a, b = args[:2]
    if not _float(a):
        return None
    if type(b) in (int, float):
        return _like(a)
    if not _float(b) or a.dtype != b.dtype:
        return None
    shape = a.shape if a.shape == b.shape else _broadcast(a.shape, b.shape)
    return None if shape is None else _like(a, shape)


def _broadcast(a: Sequence[int], b: Sequence[int]) -> list[int] | None:
    missing = len(a) - len(b)
    a, b = (1,) * -missing + tuple(a), (1,) * missing + tuple(b)
    if any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
        return None
    return [n if m == 1 else m for m, n in zip(a, b, strict=True)]


def _resized(args: Sequence[Any]) -> torch.Tensor | None:
    x, size = args[:2]
    return _like(x, (*x.shape[:2], *size)) if _float(x) and size is not None else None


def _joined(args: Sequence[Any]) -> torch.Tensor | None:
    tensors, axis = args[0], args[1] if len(args) > 1 else 0
    if not tensors:
        return None
    first = tensors[0]
    shape = list(first.shape)
    if not all(_float(t) and t.dtype == first.dtype and t.dim() == len(shape) for t in tensors):
        return None
    lengths = [t.shape[axis] for t in tensors]
    for t, length in zip(tensors, lengths, strict=True):
        shape[axis] = length
        if list(t.shape) != shape:
            return None
    shape[axis] = sum(lengths)
    return _like(first, shape)


def _product(args: Sequence[Any]) -> torch.Tensor | None:
    _, a, b = args[:3]
    fits = a.dim() == b.dim() == 2 and a.shape[1] == b.shape[0]
    return _like(a, (a.shape[0], b.shape[1])) if fits and _float(a) else None


def _mean(args: Sequence[Any]) -> torch.Tensor | None:
    x, axes, kept = args[0], args[1] if len(args) > 1 else None, len(args) > 2 and args[2]
    if not _float(x) or not axes:
        return None
    gone = {axis % x.dim() for axis in axes}
    shape = [1 if i in gone else n for i, n in enumerate(x.shape) if kept or i not in gone]
    return _like(x, shape)


def _range(args: Sequence[Any], named: Mapping[str, Any]) -> torch.Tensor | None:
    if len(args) != 1 or type(args[0]) is not int or named.get("device") != torch.device("meta"):
        return None
    return torch.empty(args[0], dtype=named.get("dtype") or torch.int64, device="meta")


def _convolved(args: Sequence[Any]) -> torch.Tensor | None:
    """Axes by the formulas that `torch.nn.Conv3d` and `ConvTranspose3d` document."""
    x, weight, _, strides, paddings, dilations, transposed, extra, groups = args
    settings = (strides, paddings, dilations, extra)
    wide, narrow = weight.shape[0], weight.shape[1] * groups
    before, after = (wide, narrow) if transposed else (narrow, wide)
    if not _float(x) or x.shape[1] != before or any(len(s) != x.dim() - 2 for s in settings):
        return None
    size = []
    for length, taps, stride, padding, dilation, more in zip(
        x.shape[2:], weight.shape[2:], *settings, strict=True
    ):
        reach = dilation * (taps - 1) + 1
        if transposed:
            size.append((length - 1) * stride - 2 * padding + reach + more)
        else:
            size.append((length + 2 * padding - reach) // stride + 1)
    return _like(x, (x.shape[0], after, *size)) if min(size) > 0 else None


_RULES: dict[Any, Callable[[Sequence[Any]], Any]] = {
    **dict.fromkeys(
        (aten.native_batch_norm, aten.native_group_norm, aten.native_layer_norm), _normalised
    ),
    **dict.fromkeys(
        (
            aten.abs,
            aten.cos,
            aten.exp,
            aten.gelu,
            aten.leaky_relu,
            aten.relu,
            aten.sigmoid,
            aten.silu,
            aten.sin,
            aten.softplus,
            aten.tanh,
        ),
        _same,
    ),
    **dict.fromkeys((aten._safe_softmax, aten._softmax), _softmax),
    **dict.fromkeys((aten.leaky_relu_, aten.relu_, aten.silu_), _in_place),
    **dict.fromkeys((aten.add, aten.div, aten.mul, aten.rsub, aten.sub), _pointwise),
    **dict.fromkeys(
        (
            aten.upsample_bilinear2d,
            aten.upsample_nearest2d,
            aten.upsample_nearest3d,
            aten.upsample_trilinear3d,
        ),
        _resized,
    ),
    aten.cat: _joined,
    aten.mean: _mean,
    aten.addmm: _product,
    aten.convolution: _convolved,
}
