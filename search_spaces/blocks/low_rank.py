"""A trained map as two thin ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from search_spaces.blocks.prunable import weight_of


class Factors(nn.Sequential):
    """A linear layer or convolution through `rank` features (Jaderberg 2014, Sec. 2).

    Of a convolution the first factor has the kernel, the second is 1^n (Denton 2014). Both are new
    layers, of the device and type of `layer`; `fill` has them compute what it does.
    """

    def __init__(self, layer: nn.Module, rank: int) -> None:
        if isinstance(layer, nn.Linear):
            into: nn.Module = nn.Linear(layer.in_features, rank, bias=False)
            out: nn.Module = nn.Linear(rank, layer.out_features, layer.bias is not None)
        elif isinstance(layer, nn.Conv2d | nn.Conv3d) and layer.groups == 1:
            kind: Any = type(layer)
            shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            into = kind(layer.in_channels, rank, *shape, bias=False)
            out = kind(rank, layer.out_channels, 1, bias=layer.bias is not None)
        else:
            raise TypeError(f"a {type(layer).__name__} of this kind has no low-rank factors")
        super().__init__(into, out)
        self.to(weight_of(layer))

    @property
    def in_features(self) -> int:
        """Of a linear layer."""
        return weight_of(self[0]).shape[1]

    @property
    def out_features(self) -> int:
        """Of a linear layer."""
        return len(weight_of(self[1]))

    @property
    def in_channels(self) -> int:
        """Of a convolution."""
        return self.in_features

    @property
    def out_channels(self) -> int:
        """Of a convolution."""
        return self.out_features

    @torch.no_grad()
    def fill(self, layer: nn.Module, moments: torch.Tensor | None = None) -> None:
        """Come as near to `layer` as this rank can: on inputs x with the second moments E[x x^T]
        (in, in) in the mean of squares; without them, by the weights alone (Eckart 1936)."""
        weight = weight_of(layer).flatten(1).double()  # (out, in), of a convolution in * kernel
        spread = _root(moments) if moments is not None else None
        seen = weight if spread is None else weight @ spread
        u, s, v = torch.linalg.svd(seen, full_matrices=False)
        first, last = map(weight_of, self)
        rank = len(first)
        u, s, v = u[:, :rank], s[:rank].sqrt(), v[:rank]
        if spread is not None:
            v = torch.linalg.solve(spread, v, left=False)
        first.copy_((s[:, None] * v).view_as(first))
        last.copy_((u * s).view_as(last))
        if isinstance(layer.bias, nn.Parameter):
            self[1].load_state_dict({"weight": last, "bias": layer.bias})


def _root(moments: torch.Tensor) -> torch.Tensor:
    """L with L L^T the moments, which are lifted a little where they are not of full rank."""
    moments = moments.double()
    lift = 1e-6 * moments.diagonal().mean().clamp_min(1e-12)
    unit = torch.eye(len(moments), dtype=moments.dtype, device=moments.device)
    return torch.linalg.cholesky(moments + lift * unit)
