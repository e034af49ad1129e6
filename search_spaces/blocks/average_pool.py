"""Average pooling in space in every precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

HALF = (torch.float16, torch.bfloat16)


def avg_pool3d(x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    """`torch.nn.functional.avg_pool3d`, which on a CPU has no kernel for half precision (2.13): a
    mean in single precision there, rounded once. Autocast is left to do it its own way."""
    own = x.device.type != "cpu" or x.dtype not in HALF or torch.is_autocast_enabled("cpu")
    if own:
        return functional.avg_pool3d(x, *args, **options)
    return functional.avg_pool3d(x.float(), *args, **options).to(x.dtype)


class AvgPool3d(nn.AvgPool3d):
    """torch's layer, in every precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return avg_pool3d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )
