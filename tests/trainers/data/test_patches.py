import numpy as np
import pytest
import torch

from trainers.data.build_cache import build_cache
from trainers.data.config import Preprocess
from trainers.data.msd import read_msd
from trainers.data.patches import PatchSampler

from .volumes import SHAPE, ball, write_msd, write_nifti

NATIVE = Preprocess(spacing="native", crop="none")
LARGER = (16, 16, 16)
SMALLER = (6, 6, 6)


@pytest.fixture
def cache(msd, tmp_path):
    return build_cache(read_msd(msd), NATIVE, tmp_path / "cache")


def test_shapes_and_types(cache):
    images, labels = PatchSampler(cache, ["a", "b"], (8, 20, 10), 3).batch()
    assert (images.shape, images.dtype) == ((3, 1, 8, 20, 10), torch.float32)
    assert (labels.shape, labels.dtype) == ((3, 1, 8, 20, 10), torch.uint8)


def test_modalities_are_channels(tmp_path):
    dataset = read_msd(write_msd(tmp_path / "data", ["a"], ("T1", "T2")))
    cache = build_cache(dataset, NATIVE, tmp_path / "cache")
    images, _ = PatchSampler(cache, ["a"], SHAPE, 1).batch()
    np.testing.assert_array_equal(images[0], cache.image("a"))


def test_a_small_volume_is_centred_between_zeros(cache):
    images, labels = PatchSampler(cache, ["a"], LARGER, 1).batch()
    np.testing.assert_array_equal(images[0, :, 2:14, 1:15, 3:13], cache.image("a"))
    np.testing.assert_array_equal(labels[0, 0, 2:14, 1:15, 3:13], cache.label("a"))
    assert torch.count_nonzero(images) == cache.image("a").size


def test_a_small_volume_is_shifted_by_up_to_shift_voxels(cache):
    sampler = PatchSampler(cache, ["a"], LARGER, 1, shift=2)
    places = set()
    for _ in range(200):
        images, _ = sampler.batch()
        kept = [np.flatnonzero(images[0, 0].numpy().any(axis=axes)) for axes in ((1, 2), (0, 2))]
        places.add(tuple(int(k[0]) for k in kept))
    assert {first for first, _ in places} == {0, 1, 2, 3, 4}
    assert {second for _, second in places} == {0, 1, 2, 3}  # one voxel of the border may be cut


def test_a_patch_is_a_piece_of_the_volume(cache):
    sampler = PatchSampler(cache, ["a"], SMALLER, 1, foreground=0)
    windows = np.lib.stride_tricks.sliding_window_view(cache.image("a")[0], SMALLER)
    places = set()
    for _ in range(50):
        images, labels = sampler.batch()
        found = np.argwhere((windows == images[0, 0].numpy()).all(axis=(3, 4, 5)))
        (place,) = found.tolist()
        box = tuple(slice(start, start + 6) for start in place)
        np.testing.assert_array_equal(labels[0, 0], cache.label("a")[box])
        places.add(tuple(place))
    assert len(places) > 30


def test_foreground_patches_are_centred_on_each_class_equally(msd, tmp_path):
    label = np.zeros(SHAPE, np.uint8)
    label[4:8, 4:8, 4:6] = 1  # 32 voxels
    label[7, 9, 5] = 2  # one voxel
    write_nifti(msd / "labelsTr" / "a.nii.gz", label)
    cache = build_cache(read_msd(msd), NATIVE, tmp_path / "cache")
    sampler = PatchSampler(cache, ["a"], (3, 3, 3), 400, foreground=1)
    _, labels = sampler.batch()
    centres = labels[:, 0, 1, 1, 1].numpy()
    assert set(centres) == {1, 2}
    assert 150 < np.sum(centres == 2) < 250


def test_the_share_of_foreground_patches_is_kept(cache):
    def share(foreground):
        sampler = PatchSampler(cache, ["a", "b"], (1, 1, 1), 1000, foreground=foreground)
        return float((sampler.batch()[1] > 0).float().mean())

    plain = float((ball(SHAPE) > 0).mean())
    assert share(1.0) == 1
    assert abs(share(0.0) - plain) < 0.04
    assert abs(share(0.5) - (0.5 + 0.5 * plain)) < 0.05


def test_a_case_without_foreground_is_sampled_all_the_same(msd, tmp_path):
    write_nifti(msd / "labelsTr" / "a.nii.gz", np.zeros(SHAPE, np.uint8))
    cache = build_cache(read_msd(msd), NATIVE, tmp_path / "cache")
    images, labels = PatchSampler(cache, ["a"], SMALLER, 2, foreground=1).batch()
    assert images.any()
    assert not labels.any()


def test_every_case_comes_once_before_any_comes_again(cache):
    sampler = PatchSampler(cache, cache.names, LARGER, 3)
    volumes = {cache.image(name).tobytes() for name in cache.names}
    for _ in range(3):
        images, _ = sampler.batch()
        assert {i[:, 2:14, 1:15, 3:13].numpy().tobytes() for i in images} == volumes


def test_scale_and_offset_change_the_volume_and_not_the_zeros_around(cache):
    sampler = PatchSampler(cache, ["a"], LARGER, 20, scale=0.2, offset=0.3)
    images, _ = sampler.batch()
    original = torch.tensor(cache.image("a")).flatten()
    lines = []
    for image in images[:, :, 2:14, 1:15, 3:13]:
        gain, bias = np.polyfit(original, image.flatten(), 1)
        torch.testing.assert_close(image.flatten(), original * float(gain) + float(bias))
        lines.append((gain, bias))
    gains, biases = np.array(lines).T
    assert 0.8 < gains.min() < 0.9 < 1.1 < gains.max() < 1.2
    assert -0.3 < biases.min() < -0.1 < 0.1 < biases.max() < 0.3
    assert not images[:, :, :2].any()


def test_noise_has_the_deviation_asked_for(cache):
    images, _ = PatchSampler(cache, ["a"], SHAPE, 1, noise=0.5).batch()
    assert abs(float((images[0] - torch.tensor(cache.image("a"))).std()) - 0.5) < 0.03


def test_flips_mirror_image_and_label_together(cache):
    image, label = cache.image("a"), cache.label("a")
    images, labels = PatchSampler(cache, ["a"], SHAPE, 40, flips=(0, 2)).batch()
    seen = set()
    for x, y in zip(images, labels, strict=True):
        for axes in ((), (0,), (2,), (0, 2)):
            if np.array_equal(y[0], np.flip(label, axes)) and np.array_equal(
                x[0], np.flip(image[0], axes)
            ):
                seen.add(axes)
                break
        else:
            pytest.fail("image and label are not mirrored along the same axes")
    assert seen == {(), (0,), (2,), (0, 2)}


def sampler_of(cache, seed=3):
    return PatchSampler(
        cache, cache.names, (8, 16, 8), 2, shift=1, scale=0.1, offset=0.1, flips=(0,), seed=seed
    )


def test_the_seed_decides(cache):
    one, other, third = sampler_of(cache), sampler_of(cache), sampler_of(cache, seed=4)
    image, label = one.batch()
    same_image, same_label = other.batch()
    assert torch.equal(image, same_image)
    assert torch.equal(label, same_label)
    assert not torch.equal(image, third.batch()[0])


def test_a_sampler_is_resumed_exactly_from_a_checkpoint(cache, tmp_path):
    sampler = sampler_of(cache)
    sampler.batch()
    torch.save(sampler.state(), tmp_path / "state.pt")
    expected = [sampler.batch() for _ in range(4)]
    resumed = sampler_of(cache, seed=99)
    resumed.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    for images, labels in expected:
        again = resumed.batch()
        assert torch.equal(images, again[0])
        assert torch.equal(labels, again[1])
