"""Operators on the meta device, each worked out once.

Many of them are slow Python decompositions there: a norm takes milliseconds. What comes out depends
on nothing but the sizes, strides and types that go in, so that torch is asked once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
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

    Views, what changes its arguments and what has values are left to torch, and so is what does not
    fit, to be refused.
    """
    if _makes_new(operator):
        try:
            made = _outputs(operator, _frozen(args), _frozen(tuple(kwargs.items())))
        except TypeError:  # an argument has no hash, or has values
            made = None
        if made is not None:
            return _thawed(made)
    return operator(*args, **kwargs)


@cache
def _makes_new(operator: Operator) -> bool:
    return not (operator._schema.is_mutable or operator.is_view)


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


def has_channels_last(t: torch.Tensor) -> bool:
    """Whether the channels of t (B, C, *S) are innermost; as torch sees it, not where t could be of
    either layout."""
    return t.stride(1) == 1 and t.stride(-1) == t.shape[1]


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
    aten.convolution: _convolved,
    aten.convolution_backward: _convolved_backward,
    aten.native_group_norm_backward: _group_normed_backward,
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
