import itertools

import pytest
import torch

from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias


def params(module):
    return sum(p.numel() for p in module.parameters())


def test_the_detector_has_the_published_size():
    # LightMedSeg, component table: 8.6 K for 4 modalities and 8 anchors; 8,640 recomputed.
    assert params(AnchorDetector(3, in_channels=4, anchors=8)) == 8_640


@pytest.mark.parametrize("dims", [2, 3])
def test_anchors_are_coordinates_between_0_and_1(dims):
    anchors = AnchorDetector(dims, 2, 5)(100 * torch.randn(3, 2, *[16] * dims))
    assert anchors.shape == (3, 5, dims)
    assert ((anchors >= 0) & (anchors <= 1)).all()


def test_anchors_depend_on_the_image():
    first, second = AnchorDetector(3, 1, 4)(torch.randn(2, 1, 16, 16, 16))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("dims", [2, 3])
def test_film_starts_as_the_identity(dims):
    x = torch.randn(2, 6, *[4] * dims)
    torch.testing.assert_close(FiLM(dims, 6, 8)(x, torch.rand(2, 8, dims)), x)


def test_film_scales_and_shifts_every_channel_by_the_anchors():
    film = FiLM(3, 2, 1)
    film.gamma.weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    film.beta.weight.data = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    anchors = torch.tensor([[[0.5, 0.25, 0.75]], [[0.0, 1.0, 0.5]]])
    y = film(torch.full((2, 2, 1, 1, 1), 10.0), anchors).flatten(1)
    # (1 + gamma) x + beta: (1 + .5) 10 + .75, (1 + .5) 10 + .5; (1 + 0) 10 + .5, (1 + 2) 10 + 0
    torch.testing.assert_close(y, torch.tensor([[15.75, 15.5], [10.5, 30.0]]))


def test_the_position_bias_is_the_projected_signed_distance():
    bias, size = PositionBias(3, 2, 4), (2, 3, 4)
    anchors = torch.rand(2, 4, 3)
    expected = torch.zeros(2, 2, *size)
    for b, (i, j, k) in itertools.product(range(2), itertools.product(*map(range, size))):
        place = torch.tensor([i / 2, j / 3, k / 4])
        distance = torch.stack([(place - anchor).sum() for anchor in anchors[b]])
        expected[b, :, i, j, k] = bias.project.weight.view(2, 4) @ distance + bias.project.bias
    torch.testing.assert_close(bias(anchors, size), expected)


def test_the_position_bias_exists_in_two_dimensions():
    assert PositionBias(2, 6, 4)(torch.rand(1, 4, 2), (3, 5)).shape == (1, 6, 3, 5)
