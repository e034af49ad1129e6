"""Training that sees the rounding of int8 (quantisation-aware; Jacob 2018)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear

LEVELS = 255  # of int8
DECAY = 0.99  # of the running range of a layer's inputs


def fake_quantise(network: nn.Module) -> int:
    """Have the linear layers and convolutions of `network` compute with rounded weights and inputs.

    As ONNX Runtime's static quantisation has them (`nas.cost.latency.quantise`): weights in int8,
    symmetric, a scale for each output; inputs in 8 bits without sign, a scale for each layer, by
    the running least and largest value of training. Gradients pass the rounding as if it were not
    there, where nothing is clipped (straight through; Bengio 2013). Parameters and state dict stay
    as they are. Returns how many layers.
    """
    found = 0
    for module in network.modules():
        if (kind := _ROUNDED.get(type(module))) is not None:
            module.__class__ = kind
            module.register_buffer("input_range", torch.zeros(2), persistent=False)
            found += 1
    return found


class _Rounded(nn.Module):
    """What rounded layers have in common."""

    weight: torch.Tensor
    input_range: torch.Tensor

    def rounded(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The input and the weight."""
        if self.training:
            self._watch(x.detach())
        low, high = self.input_range.unbind()
        scale = ((high - low) / LEVELS).clamp_min(1e-8)
        zero = (-low / scale).round().clamp(0, LEVELS).to(torch.int32)
        seen = torch.fake_quantize_per_tensor_affine(x.float(), scale, zero, 0, LEVELS)
        wide = self.weight.float()  # also under autocast
        with torch.no_grad():
            largest = wide.abs().flatten(1).amax(1)
            scales = (largest / (LEVELS // 2)).clamp_min(1e-8)
            zeros = torch.zeros_like(scales, dtype=torch.int32)
        half = LEVELS // 2
        weight = torch.fake_quantize_per_channel_affine(wide, scales, zeros, 0, -half, half)
        return seen, weight

    def _watch(self, x: torch.Tensor) -> None:
        """Zero is always in the range, so that padding is exact."""
        now = torch.stack([x.amin().clamp(max=0), x.amax().clamp(min=0)]).to(self.input_range)
        new = DECAY * self.input_range + (1 - DECAY) * now
        self.input_range.copy_(torch.where(self.input_range.any(), new, now))


class _RoundedLinear(_Rounded, nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen, weight = self.rounded(x)
        return linear(seen, weight, self.bias)


class _RoundedConv2d(_Rounded, nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen, weight = self.rounded(x)
        return self._conv_forward(seen, weight, self.bias)


class _RoundedConv3d(_Rounded, nn.Conv3d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen, weight = self.rounded(x)
        return self._conv_forward(seen, weight, self.bias)


_ROUNDED = {nn.Linear: _RoundedLinear, nn.Conv2d: _RoundedConv2d, nn.Conv3d: _RoundedConv3d}
