import pytest
import torch
from monai.networks.nets.swin_unetr import compute_mask, window_partition

from search_spaces.blocks.attention import Attention
from search_spaces.blocks.windows import Windowed, partition, unpartition, window_mask


def test_partition_is_monais_and_unpartition_undoes_it():
    x = torch.randn(2, 4, 6, 8, 3)
    windows = partition(x, (2, 3, 4))
    assert torch.equal(windows, window_partition(x, (2, 3, 4)))
    assert torch.equal(unpartition(windows, (2, 3, 4), (4, 6, 8)), x)


def test_partition_takes_two_axes():
    x = torch.arange(24.0).view(1, 4, 6, 1)
    windows = partition(x, (2, 3))
    assert windows[1, :, 0].tolist() == [3, 4, 5, 9, 10, 11]
    assert torch.equal(unpartition(windows, (2, 3), (4, 6)), x)


def test_the_mask_of_shifted_windows_is_swins():
    expected = compute_mask([4, 6, 8], (2, 2, 2), (1, 1, 1), "cpu") == 0
    assert torch.equal(window_mask((4, 6, 8), (2, 2, 2), (1, 1, 1), "cpu"), expected)


@pytest.mark.parametrize("shift", [False, True])
def test_a_window_as_large_as_the_grid_is_plain_attention(shift):
    windowed, z = Windowed(Attention(6, 2), 8, shift), torch.randn(2, 5 * 6 * 7, 6)
    torch.testing.assert_close(windowed(z, (5, 6, 7)), windowed.mixer(z))


def test_filled_up_windows_see_only_the_grid():
    windowed, z = Windowed(Attention(6, 2), 4), torch.randn(2, 5 * 6 * 7, 6)
    last = (slice(None), *[slice(4, None)] * 3)
    mixed = windowed(z, (5, 6, 7)).unflatten(1, (5, 6, 7))[last]
    alone = windowed.mixer(z.unflatten(1, (5, 6, 7))[last].flatten(1, 3))
    torch.testing.assert_close(mixed.flatten(1, 3), alone)


def test_shifted_windows_mix_what_the_others_keep_apart():
    torch.manual_seed(0)
    z = torch.randn(1, 8, 4)
    changed = z.clone()
    changed[0, 4] += 1.0  # the first token of the second window of four
    for shift, reaches in ((False, False), (True, True)):
        windowed = Windowed(Attention(4, 1), 4, shift)
        difference = (windowed(changed, (8,)) - windowed(z, (8,))).abs().sum(-1)[0]
        assert bool(difference[3] > 1e-6) == reaches
        assert difference[0] == 0  # neither looks across the border of the volume


def test_a_mask_made_in_inference_serves_training():
    windowed, z = Windowed(Attention(4, 1), 4, True), torch.randn(1, 10, 4)
    with torch.inference_mode():
        windowed(z, (10,))
    windowed(z, (10,)).sum().backward()
