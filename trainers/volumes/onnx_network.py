"""A network's ONNX file as a module, for the configuration of a folder that runs by itself."""

from __future__ import annotations

import torch
from torch import nn


class OnnxNetwork(nn.Module):
    """`forward` of the file by ONNX Runtime, on a GPU where it finds one; x: (B, C, D, H, W)."""

    def __init__(self, file: str) -> None:
        import onnxruntime

        super().__init__()
        usable = onnxruntime.get_available_providers()
        wanted = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in usable]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = onnxruntime.InferenceSession(file, options, providers=wanted)
        self._input = self._session.get_inputs()[0].name
        # Windows are put together where the parameters are.
        self.here = nn.Parameter(torch.empty(0), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._session.run(None, {self._input: x.numpy()})[0])
