import numpy as np
import pytest
import torch
from torch import nn

from trainers.inference import Mirrored, predict_logits


class Pointwise(nn.Module):
    """Sees one voxel at a time, so that windows cannot change its answer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0]))

    def forward(self, x):
        return x * self.weight.view(1, 2, 1, 1, 1)


def image(*shape):
    return np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)


def test_a_volume_of_one_window_is_one_forward_pass():
    network = nn.Conv3d(1, 3, 3, padding=1)
    volume = image(8, 8, 8)
    with torch.no_grad():
        direct = network(torch.from_numpy(volume)[None])[0]
    torch.testing.assert_close(predict_logits(network, volume, (8, 8, 8), 0.25), direct)


def test_a_smaller_volume_is_padded_with_zeros_and_cut_back():
    network = nn.Conv3d(1, 2, 3, padding=1)
    volume = image(5, 8, 6)
    padded = np.pad(volume, [(0, 0), (1, 2), (0, 0), (1, 1)])
    with torch.no_grad():
        direct = network(torch.from_numpy(padded)[None])[0, :, 1:6, :, 1:7]
    torch.testing.assert_close(predict_logits(network, volume, (8, 8, 8), 0.25), direct)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("shape", [(17, 8, 11), (8, 9, 30), (3, 20, 8)])
def test_windows_are_blended_back_into_one_volume(shape, overlap):
    volume = image(*shape)
    expected = torch.from_numpy(np.concatenate([volume, -2 * volume]))
    logits = predict_logits(Pointwise(), volume, (8, 8, 8), overlap)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_the_volume_itself_is_left_alone():
    volume = image(8, 8, 8)
    volume.flags.writeable = False  # as the cache's memory maps are
    predict_logits(Pointwise(), volume, (8, 8, 8), 0.25)


def test_mirrored_means_the_logits_of_all_mirror_images():
    network = nn.Conv3d(1, 2, 3, padding=1)
    x = torch.from_numpy(image(4, 5, 6))[None]
    with torch.no_grad():
        passes = [
            network(x),
            network(x.flip(2)).flip(2),
            network(x.flip(4)).flip(4),
            network(x.flip(2, 4)).flip(2, 4),
        ]
        torch.testing.assert_close(Mirrored(network, (0, 2))(x), sum(passes) / 4)
