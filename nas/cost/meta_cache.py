"""Operators on the meta device, each worked out once.

Many of them are slow Python decompositions there: a norm takes milliseconds. What comes out depends
on nothing but the sizes, strides and types that go in, so that torch is asked once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch._prims_common import suggest_memory_format
from torch.utils._pytree import tree_leaves

REMEMBERED = 2**16  # calls of operators, each of a kilobyte or so

Operator = Any  # one overload, such as torch.ops.aten.add.Tensor


class _Layout(NamedTuple):
    """All that there is to a meta tensor."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Number(NamedTuple):
    """A float or bool: 1.0 and True equal the integer 1, and promote differently."""

    kind: type
    value: Any


def compute(operator: Operator, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What `operator` returns for meta tensors: new ones, in the layouts of a real device.

    Views, and what has values, are left to torch, and so is what does not fit, to be refused.
    """
    kind = _kind(operator)
    if kind == "in place" and _alike(args):
        return args[0]
    if kind == "new":
        try:
            made = _outputs(operator, _frozen(args), _frozen(tuple(kwargs.items())))
        except TypeError:  # an argument has no hash, or has values
            made = None
        if made is not None:
            return _thawed(made)
    return operator(*args, **kwargs)


@cache
def _kind(operator: Operator) -> str:
    """`in place`: it returns its first argument, in the layout it came in. `new`: it changes none
    of its arguments."""
    if not operator._schema.is_mutable:
        return "view" if operator.is_view else "new"
    elementwise = torch.Tag.pointwise in operator.tags
    return "in place" if elementwise and operator._opname.endswith("_") else "other"


@lru_cache(REMEMBERED)
def _outputs(operator: Operator, args: Any, kwargs: Any) -> Any:
    """The layouts of what comes out; None where an output has values, or an input's memory."""
    given, named = _thawed(args), dict(_thawed(kwargs))
    ask = _OURS.get(operator.overloadpacket) or operator
    made = ask(*given, **named)
    outputs = _tensors(made)
    inputs = {t.untyped_storage()._cdata for t in _tensors((given, named))}
    if any(not t.is_meta or t.untyped_storage()._cdata in inputs for t in outputs):
        return None
    return _frozen(made)


def _alike(args: Sequence[Any]) -> bool:
    """Whether all tensors are without values and of one shape, so that nothing is broadcast."""
    shape, tensors = args[0].shape, [each for each in args if isinstance(each, torch.Tensor)]
    return all(each.is_meta and each.shape == shape for each in tensors)


def has_channels_last(t: torch.Tensor) -> bool:
    """Whether the channels of t (B, C, *S) are innermost; as torch sees it, not where t could be of
    either layout."""
    return t.stride(1) == 1 and t.stride(-1) == t.shape[1]


def _resized(x: torch.Tensor, size: Sequence[int], *_: Any) -> torch.Tensor:
    """An interpolation, which torch works out weight by weight."""
    made = torch.empty((*x.shape[:2], *size), dtype=x.dtype, device="meta")
    return made.contiguous(memory_format=suggest_memory_format(x))


def _product(bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, **_: Any) -> torch.Tensor:
    if a.shape[1] != b.shape[0]:
        return aten.addmm.default(bias, a, b)  # which refuses them
    return torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device="meta")


def _convolved(image: torch.Tensor, weight: torch.Tensor, *others: Any) -> torch.Tensor:
    """In the layout that oneDNN and cuDNN choose, which is not that of the meta device."""
    made = aten.convolution.default(image, weight, *others)
    return _laid_out(made, has_channels_last(image) or has_channels_last(weight))


def _convolved_backward(
    gradient: torch.Tensor, image: torch.Tensor, weight: torch.Tensor, *others: Any
) -> tuple[torch.Tensor | None, ...]:
    made = aten.convolution_backward.default(gradient, image, weight, *others)
    last = has_channels_last(image) or has_channels_last(weight)
    return *(None if t is None else _laid_out(t, last) for t in made[:2]), made[2]


def _group_normed(x: torch.Tensor, *others: Any) -> tuple[torch.Tensor, ...]:
    """As torch's own, which takes 5 ms there."""
    _, _, batch, _, _, groups, _ = others
    made = _laid_out(torch.empty_like(x), has_channels_last(x))
    return made, x.new_empty((batch, groups)), x.new_empty((batch, groups))


def _group_normed_backward(
    gradient: torch.Tensor, x: torch.Tensor, *others: Any
) -> tuple[torch.Tensor | None, ...]:
    made = aten.native_group_norm_backward.default(gradient, x, *others)
    return _laid_out(made[0], has_channels_last(x)), *made[1:]


def _laid_out(t: torch.Tensor, last: bool) -> torch.Tensor:
    if not last:
        return t.contiguous()
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return t.contiguous(memory_format=formats[t.dim()]) if t.dim() in formats else t


aten = torch.ops.aten
_OURS: dict[Any, Callable[..., Any]] = {
    aten.addmm: _product,
    aten.convolution: _convolved,
    aten.convolution_backward: _convolved_backward,
    aten.native_group_norm: _group_normed,
    aten.native_group_norm_backward: _group_normed_backward,
    aten.upsample_bilinear2d: _resized,
    aten.upsample_nearest2d: _resized,
    aten.upsample_nearest3d: _resized,
    aten.upsample_trilinear3d: _resized,
}


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _frozen(value: Any) -> Any:
    """With a hash, and without tensors."""
    kind = type(value)
    if kind is int:
        return value
    if isinstance(value, torch.Tensor):
        if not value.is_meta:
            raise TypeError("a tensor with values")
        return _Layout(value.shape, value.stride(), value.dtype)
    if kind is list or kind is tuple:
        return tuple([_frozen(each) for each in value])
    if kind is bool or kind is float:
        return _Number(kind, value)
    return value


def _thawed(value: Any) -> Any:
    """The inverse, of tensors no one else has."""
    if isinstance(value, _Layout):
        return torch.empty_strided(value.size, value.stride, dtype=value.dtype, device="meta")
    if isinstance(value, _Number):
        return value.value
    if isinstance(value, tuple):
        return tuple([_thawed(each) for each in value])
    return value
