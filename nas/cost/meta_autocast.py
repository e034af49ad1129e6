"""What functions of torch do on a device and not on the meta device, for tensors of the latter.

`torch.autocast` does not know it, and it takes attention apart into products whose N^2 weights no
other device keeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch._prims_common import suggest_memory_format
from torch.overrides import TorchFunctionMode

Device = Literal["cpu", "cuda"]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# By name, so that torch.f, torch.nn.functional.f and Tensor.f are one: torch's lists, less what
# takes no tensor larger than a handful of numbers.
_NARROW = _names(
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear matmul "
    "__matmul__ __rmatmul__ mm bmm addmm addbmm baddbmm einsum prelu scaled_dot_product_attention"
)
_WIDE: Mapping[Device, frozenset[str]] = {
    # torch/include/ATen/autocast_mode.h
    "cuda": _names(
        "exp expm1 log log10 log2 log1p reciprocal rsqrt pow __pow__ __rpow__ softplus layer_norm "
        "rms_norm group_norm cosine_similarity nll_loss kl_div l1_loss smooth_l1_loss mse_loss "
        "binary_cross_entropy_with_logits cross_entropy dist cdist renorm logsumexp interpolate "
        "softmax log_softmax cumprod cumsum"
    ),
    # aten/src/ATen/autocast_mode.cpp
    "cpu": _names(
        "avg_pool3d max_pool3d adaptive_avg_pool3d adaptive_max_pool3d grid_sample cdist prod "
        "mse_loss nll_loss cross_entropy kl_div binary_cross_entropy_with_logits"
    ),
}


class OnDevice(TorchFunctionMode):
    """Functions of torch as that device does them: under autocast to `narrow`, if given, attention
    in one piece, group norm in the CPU's layout.

    As in torch, a parameter is cast once, however often it is used.
    """

    def __init__(self, device: Device, narrow: torch.dtype | None = None) -> None:
        super().__init__()
        self._device, self._narrow, self._wide = device, narrow, _WIDE[device]
        self._cast: dict[torch.Tensor, torch.Tensor] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if self._narrow is not None and (name in _NARROW or name in self._wide):
            kind = self._narrow if name in _NARROW else torch.float32
            args = [self._to(kind, value) for value in args]
            named = {key: self._to(kind, value) for key, value in named.items()}
        if name == "scaled_dot_product_attention":
            return _attention(func, *args, **named)
        if name == "group_norm" and self._device == "cpu":
            return _group_norm(*args, **named)
        return func(*args, **named)

    def __exit__(self, *error: Any) -> None:
        self._cast.clear()
        super().__exit__(*error)

    def _to(self, kind: torch.dtype, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(self._to(kind, each) for each in value)
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        if value.dtype == kind:
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(kind)
        if value not in self._cast:
            self._cast[value] = value.to(kind)
        return self._cast[value]


def _group_norm(
    x: torch.Tensor,
    groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> torch.Tensor:
    """In the layout that x has; on other devices it is made contiguous first."""
    x = x.contiguous(memory_format=suggest_memory_format(x))
    batch, channels = x.shape[:2]
    voxels = math.prod(x.shape[2:])
    return torch.native_group_norm(x, weight, bias, batch, channels, voxels, groups, eps)[0]


def _attention(
    func: Callable[..., torch.Tensor],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """The fused kernel of the CPU, which keeps what CUDA's keep: the output and a sum for every
    query. Where it is not used (dropout, a learned mask), neither is it here."""
    learned = attn_mask is not None and attn_mask.requires_grad
    if dropout_p or learned or enable_gqa or query.dim() != 4:
        return func(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros(attn_mask.shape, dtype=query.dtype, device="meta")
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return fused(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]
