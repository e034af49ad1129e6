"""Patches under each preset, as the sampler gives them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.test_trainer import SHORT, figures, run, trainer
from trainers.augment.config import Augment
from trainers.augment.presets import BASIC, LIGHT, NNUNET, PRESETS, Chance, Preset
from trainers.data.patches import PatchSampler

PATCH = (16, 20, 12)
EACH = pytest.mark.parametrize("preset", [LIGHT, NNUNET], ids=["light", "nnunet"])
OTHERS = [name for name in PRESETS if name != "basic"]
SPATIAL = Preset(
    rotation=Chance(0.5, -30, 30), in_plane=Chance(0.5, -180, 180), scaling=Chance(0.5, 0.7, 1.4)
)


def sampler(phantom, preset, patch=PATCH, size=2, **options):
    cache, cases = phantom
    return PatchSampler(cache, cases.train, patch, size, preset=preset, **options)


def batches(drawing, count=4):
    return [drawing.batch() for _ in range(count)]


def equal(one, other):
    pairs = zip(itertools.chain(*one), itertools.chain(*other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@EACH
def test_images_are_changed_and_labels_are_classes(phantom, preset):
    cache, _ = phantom
    plain = sampler(phantom, BASIC, size=60, seed=1).batch()
    images, labels = sampler(phantom, preset, size=60, seed=1).batch()
    assert images.isfinite().all()
    assert labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) == set(range(len(cache.classes)))
    known = {image.numpy().tobytes() for image in plain[0]}
    assert sum(image.numpy().tobytes() in known for image in images) < 20


@pytest.fixture
def painted(phantom, monkeypatch):
    """Images that are their own labels."""
    cache, _ = phantom
    labels = {name: cache.label(name)[None].astype(np.float32) for name in cache.names}
    monkeypatch.setattr(type(cache), "image", lambda self, name: labels[name])
    return phantom


@pytest.mark.parametrize("flips", [(), (0, 1, 2)])
@pytest.mark.parametrize("patch", [(12, 12, 12), (20, 24, 10), (28, 30, 26)])
def test_a_painted_label_stays_in_step_through_all_that_moves(painted, flips, patch):
    drawing = sampler(painted, SPATIAL, patch, 30, flips=flips, shift=2)
    images, labels = drawing.batch()
    for found in range(1, 4):
        assert (labels == found).any()
    off = (images - labels).abs()
    assert off.median() == 0
    # Between voxels of the classes 0 and 3 the nearest one has an eighth of the weight at least.
    assert off.max() <= 3 * 7 / 8 + 1e-3
    assert (off > 0.5).float().mean() < 0.05


@EACH
def test_without_probabilities_nothing_changes(phantom, preset):
    never = replace(
        preset,
        rotation=replace(preset.rotation, probability=0),
        in_plane=replace(preset.in_plane, probability=0),
        scaling=replace(preset.scaling, probability=0),
        intensity={kind: replace(c, probability=0) for kind, c in preset.intensity.items()},
    )
    assert equal(batches(sampler(phantom, never)), batches(sampler(phantom, BASIC)))


@EACH
def test_the_seed_decides(phantom, preset):
    first, again, other = (batches(sampler(phantom, preset, seed=seed)) for seed in (3, 3, 4))
    assert equal(first, again)
    assert not equal(first, other)


@EACH
def test_it_goes_on_exactly_from_a_checkpoint(phantom, preset, tmp_path):
    drawing = sampler(phantom, preset, flips=(0,))
    drawing.batch()
    torch.save(drawing.state(), tmp_path / "state.pt")
    expected = batches(drawing)
    resumed = sampler(phantom, preset, flips=(0,), seed=99)
    resumed.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert equal(batches(resumed), expected)


@EACH
def test_the_parts_of_workers_make_the_batch(phantom, preset):
    whole, first, second = (sampler(phantom, preset, size=4, seed=5) for _ in range(3))
    for _ in range(4):
        parts = zip(first.batch(slice(0, 2)), second.batch(slice(2, 4)), strict=True)
        assert equal([[torch.cat(part) for part in parts]], [whole.batch()])


@EACH
def test_what_was_drawn_may_be_read_in_any_order(phantom, preset):
    one, other = sampler(phantom, preset), sampler(phantom, preset)
    drawn = [other.draw() for _ in range(4)]
    assert equal(batches(one), [*reversed([other.read(cuts) for cuts in reversed(drawn)])])


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_goes_on_as_if_it_had_never_stopped(phantom, name, accumulate, tmp_path):
    config = SHORT.model_copy(update={"augment": Augment.model_validate(name), "epochs": 2})
    expected = run(trainer(phantom, config, accumulate=accumulate))
    file = tmp_path / "a.pt"
    reports = [trainer(phantom, config, checkpoint=file, accumulate=accumulate).run_epoch()]
    reports += run(trainer(phantom, config, checkpoint=file, accumulate=accumulate))
    assert str(figures(reports)) == str(figures(expected))


def test_basic_is_what_it_was_before_there_were_others(phantom):
    """The patches and the order of the draws of version 0.1, written out."""
    cache, cases = phantom
    drawing = PatchSampler(
        cache,
        cases.train,
        (16, 30, 12),
        1,
        foreground=0.5,
        shift=2,
        scale=0.1,
        offset=0.2,
        noise=0.3,
        flips=(0, 2),
        seed=8,
    )
    rng, queue = np.random.default_rng(8), []
    for _ in range(8):
        queue = queue or rng.permutation(len(cases.train)).tolist()
        name = cases.train[queue.pop()]
        volume, classes = np.asarray(cache.image(name)), np.asarray(cache.label(name))
        centre = None
        if rng.random() < 0.5:
            kept = cache.foreground(name)
            one = kept[rng.integers(len(kept))]
            centre = np.unravel_index(one[rng.integers(len(one))], classes.shape)
        first = int(rng.integers(9)) if centre is None else int(np.clip(centre[0] - 8, 0, 8))
        second = -3 + int(rng.integers(-2, 3))  # 24 voxels in the middle of 30
        third = int(rng.integers(13)) if centre is None else int(np.clip(centre[2] - 6, 0, 12))
        flipped = [axis for axis in (0, 2) if rng.random() < 0.5]
        gain, bias = rng.uniform(0.9, 1.1), rng.uniform(-0.2, 0.2)
        noise = rng.standard_normal((1, 16, 24, 12), np.float32)
        piece = np.s_[first : first + 16, :, third : third + 12]
        image = np.zeros((1, 16, 30, 12), np.float32)
        label = np.zeros((16, 30, 12), np.uint8)
        inside = np.s_[:, -second : 24 - second]
        scaled = volume[:, *piece] * np.float32(gain) + np.float32(bias)
        image[0][inside] = (scaled + np.float32(0.3) * noise)[0]
        label[inside] = classes[piece]
        images, labels = drawing.batch()
        np.testing.assert_array_equal(images[0, 0], np.flip(image[0], flipped))
        np.testing.assert_array_equal(labels[0, 0], np.flip(label, flipped))
