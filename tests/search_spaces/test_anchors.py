import itertools

import pytest
import torch

from search_spaces.blocks.anchors import AnchorDetector, FiLM, PositionBias, soft_argmax
from tests.search_spaces.networks import params


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


def test_the_head_that_keeps_the_place_has_a_convolution_for_the_mlp():
    mlp, maps = (8 + 1) * 128 + (128 + 1) * 24, (8 + 1) * 8
    assert params(AnchorDetector(3, 4, 8, head="soft-argmax")) == 8_640 - mlp + maps


def test_the_soft_argmax_is_the_mean_place_by_the_softmax():
    """Shares 1/8, 1/8, 1/4 above 1/2, 0, 0: rows at 1/4 and 3/4, columns at 1/6, 1/2 and 5/6."""
    maps = torch.tensor([[1.0, 1.0, 2.0], [4.0, 0.0, 0.0]]).log()[None, None]
    row = 0.5 * 0.25 + 0.5 * 0.75
    column = (1 / 8 + 1 / 2) / 6 + 1 / 8 / 2 + 1 / 4 * 5 / 6
    torch.testing.assert_close(soft_argmax(maps), torch.tensor([[[row, column]]]))


def blobs(places, side=64):
    """Images with a bright square at these places, (row, column) of a grid of 8 x 8, z-scored."""
    images = 0.3 * torch.randn(len(places), 1, side, side)
    for image, (row, column) in zip(images, (8 * places).tolist(), strict=True):
        image[0, row : row + 8, column : column + 8] += 3.0
    return (images - images.mean((2, 3), keepdim=True)) / images.std((2, 3), keepdim=True)


def test_anchors_differ_between_cases_where_the_head_keeps_the_place():
    torch.manual_seed(0)
    x = blobs(torch.randint(0, 8, (16, 2)))
    spread = {
        head: AnchorDetector(2, 1, 8, head=head)(x).std(0).mean()
        for head in ("pooled", "soft-argmax")
    }
    assert spread["pooled"] < 0.005
    assert spread["soft-argmax"] > 0.02


def test_only_anchors_of_the_soft_argmax_can_follow_what_they_are_to_find():
    """Trained to point at a bright square. Without seeing it the best is the middle, a quarter of
    the side away on average; places there are eight of."""
    moved = {}
    for head in ("pooled", "soft-argmax"):
        torch.manual_seed(0)
        detect = AnchorDetector(2, 1, 1, head=head)
        optimizer = torch.optim.Adam(detect.parameters(), 1e-2)
        for _ in range(80):
            places = torch.randint(0, 8, (8, 2))
            optimizer.zero_grad()
            (detect(blobs(places))[:, 0] - (places + 0.5) / 8).square().mean().backward()
            optimizer.step()
        left, right = (
            detect(blobs(torch.tensor([[3, column]]))).detach()[0, 0] for column in (2, 5)
        )
        moved[head] = (right - left).tolist()
    assert moved["soft-argmax"] == pytest.approx([0.0, 3 / 8], abs=0.06)
    assert abs(moved["pooled"][1]) < 0.15


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
