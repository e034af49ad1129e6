"""Torch's count: its own formulas for every operator that runs, and the operators without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from nas.cost.meta_cache import compute


class OperatorCounter(TorchDispatchMode):
    """Adds up the formulas that `FlopCounterMode` has, two FLOPs a multiply-accumulate.

    `macs`: by the module whose forward an operator ran in, None where nobody says which
    (`within`). `without`: calls of operators that have no formula. While `paused` is above 0
    nothing is counted. Operators run on meta tensors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs: Counter[nn.Module | None] = Counter()
        self.without: Counter[Any] = Counter()
        self.within: nn.Module | None = None
        self.paused = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        operator, named = func.overloadpacket, kwargs or {}  # type: ignore[attr-defined]
        result = compute(func, args, named)
        if self.paused:
            return result
        if operator in flop_registry:
            self.macs[self.within] += _flops(operator, args, named, result) // 2
        else:
            self.without[func] += 1
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and the guard against it takes longer than most operators."""
        return False


def _flops(
    operator: Any, args: Sequence[Any], named: Mapping[str, Any], result: torch.Tensor
) -> int:
    """The registered formula of shapes; torch's wrapper around it is slow in finding them."""
    formula = flop_registry[operator]
    inner = getattr(formula, "__wrapped__", None)
    if inner is None or not isinstance(result, torch.Tensor):
        return formula(*args, **named, out_val=result)
    shapes = [a.shape if isinstance(a, torch.Tensor) else a for a in args]
    return inner(*shapes, **named, out_shape=result.shape)


def is_free(operator: Any) -> bool:
    """Whether an operator, one overload, is known to hold no multiply-accumulate.

    Elementwise ones, reductions, views, and those listed here: copies and places, norms, pooling,
    interpolation, softmax.
    """
    tags = operator.tags
    return (
        operator.is_view
        or torch.Tag.pointwise in tags
        or torch.Tag.reduction in tags
        or operator.overloadpacket in _FREE
    )


aten = torch.ops.aten
_FREE = {
    getattr(aten, name)
    for names in (
        # new tensors
        "arange empty empty_like eye full full_like linspace new_empty new_full new_ones "
        "new_zeros ones ones_like scalar_tensor zeros zeros_like",
        # copies, other places and other orders
        "_to_copy _unsafe_view argsort cat constant_pad_nd copy_ embedding fill_ flip gather "
        "index index_put_ index_select lift_fresh pixel_shuffle pixel_unshuffle reflection_pad3d "
        "repeat replication_pad3d roll scatter sort stack topk tril triu unfold_copy zero_",
        # norms, activations, softmax
        "_log_softmax _prelu_kernel _safe_softmax _softmax log_sigmoid_forward native_batch_norm "
        "native_group_norm native_layer_norm",
        # pooling, interpolation
        "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d "
        "avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices "
        "upsample_bilinear2d upsample_linear1d upsample_nearest2d upsample_nearest3d "
        "upsample_trilinear3d",
        # running sums
        "cumsum",
    )
    for name in names.split()
}
