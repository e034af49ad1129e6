"""From one preprocessed volume to logits, window by window."""

from __future__ import annotations

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import nn


@torch.inference_mode()
def predict_logits(
    network: nn.Module, image: np.ndarray, patch: tuple[int, int, int], overlap: float
) -> torch.Tensor:
    """Sliding-window logits of one volume, windows blended by a Gaussian.

    image: (C_in, D, H, W) of any size; smaller ones are padded to the patch. `network` is expected
    in eval mode. Returns (C_cls, D, H, W) float32 on the network's device.
    """
    device = next(network.parameters()).device
    x = torch.from_numpy(np.array(image))[None].to(device)
    # Windows by twos: torch takes small float32 convolutions of a single image on a slow CPU path.
    logits = sliding_window_inference(
        x, patch, sw_batch_size=2, predictor=network, overlap=overlap, mode="gaussian"
    )
    assert isinstance(logits, torch.Tensor)
    return logits[0].float()
