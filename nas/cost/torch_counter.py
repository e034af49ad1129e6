"""Torch's count: its own formulas for every operator that runs, and the operators without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
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
            self.macs[self.within] += flop_registry[operator](*args, **named, out_val=result) // 2
        else:
            self.without[func] += 1
        return result


def is_free(operator: Any) -> bool:
    """Whether an operator, one overload, is known to hold no multiply-accumulate.

    Elementwise ones, reductions, views, what takes no tensor, and the families listed here.
    """
    tags = operator.tags
    return (
        operator.is_view
        or torch.Tag.pointwise in tags
        or torch.Tag.reduction in tags
        or not any("Tensor" in str(argument.type) for argument in operator._schema.arguments)
        or (operator.namespace == "aten" and _free_name(operator.overloadpacket.__name__))
    )


@cache
def _free_name(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for patterns in _FREE.values() for pattern in patterns)


# Operators of aten, by name.
_FREE: Mapping[str, Sequence[str]] = {
    "new tensors": ("*_like", "new_*", "linspace"),
    "copies": ("_to_copy", "_unsafe_view", "cat", "copy_", "fill_", "repeat", "stack", "zero_"),
    "other places": ("*_pad?d", "constant_pad_nd", "pixel_*shuffle", "roll", "tril", "triu"),
    "other orders": ("argsort", "flip", "sort", "topk", "unfold_copy"),
    "by index": ("embedding", "gather", "index", "index_put_", "index_select", "scatter"),
    "norms, activations": ("native_*_norm", "_*softmax", "_prelu_kernel", "log_sigmoid_forward"),
    "pooling, interpolation": ("*_pool?d", "*_pool?d_with_indices", "upsample_*[0-9]d"),
    "running sums": ("cumsum",),
}
