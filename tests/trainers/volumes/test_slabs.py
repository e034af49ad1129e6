"""Logits held a slab at a time beside all of them at once."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from tests.processes import printed_by
from tests.trainers.oracle import CROOKED, Oracle, segmenter
from trainers.errors import UserError
from trainers.inference import Ensemble, Mirrored
from trainers.volumes import segment as segment_module
from trainers.volumes.windows import SlabInferer

PATCH = (8, 12, 8)
SHAPES = {
    "many windows": (20, 30, 17),
    "one window": PATCH,
    "smaller than the patch": (6, 7, 5),
    "thinner than the patch along the first axis": (5, 30, 19),
    "along the second": (25, 9, 10),
    "along the third": (9, 26, 6),
    "one slice": (21, 13, 1),
}


def network(classes, seed=0):
    """Sees its neighbours, so that what lies beyond the edge of a window matters."""
    torch.manual_seed(seed)
    return nn.Conv3d(1, classes, 3, padding=1).eval()


def image(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.7])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_are_those_of_monai(shape, overlap):
    volume, model = image((1, *shape)), network(3)
    logits = SlabInferer(PATCH, overlap, windows=2).logits(volume, model, torch.device("cpu"))
    monai = SlidingWindowInferer(PATCH, 2, overlap, mode="gaussian")
    with torch.inference_mode():
        assert torch.equal(logits, monai(torch.from_numpy(volume)[None], model)[0])


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.7])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("axis", range(3))
def test_slabs_are_the_logits_of_the_whole(axis, shape, overlap):
    inferer, model = SlabInferer(PATCH, overlap, windows=2), network(3)
    here = torch.device("cpu")
    volume = image((1, *shape))
    whole = inferer.logits(volume, model, here)
    slabs = [slab.clone() for slab in inferer.slabs(volume, model, axis, here)]
    joined = torch.cat(slabs, 1).movedim(1, axis + 1)
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5)
    assert max(slab.shape[1] for slab in slabs) <= PATCH[axis]
    if axis == 0:  # windows are added up in the same order
        assert torch.equal(joined, whole)


@pytest.mark.parametrize("axis", range(3))
def test_slabs_of_many_volumes_are_those_of_each(axis):
    inferer, model, here = SlabInferer(PATCH, 0.25, windows=3), network(3), torch.device("cpu")
    volumes = [image((1, *shape), seed) for seed, shape in enumerate(SHAPES.values())]
    found = [[] for _ in volumes]
    for number, first, logits in inferer.slabs_of_each(volumes, model, axis, here):
        assert first == sum(slab.shape[1] for slab in found[number])
        found[number].append(logits.clone())
    for volume, slabs in zip(volumes, found, strict=True):
        alone = torch.cat([slab.clone() for slab in inferer.slabs(volume, model, axis, here)], 1)
        torch.testing.assert_close(torch.cat(slabs, 1), alone, rtol=0, atol=1e-6)


def test_the_image_is_left_alone():
    volume = image((1, 5, 30, 19))
    volume.flags.writeable = False
    list(SlabInferer(PATCH, 0.25, windows=2).slabs(volume, network(3), 1, torch.device("cpu")))


def test_a_slab_lies_across_the_axis_of_most_windows():
    inferer = SlabInferer((64, 64, 32), 0.25, windows=2)
    assert inferer.across((512, 512, 800)) == 2
    assert inferer.across((100, 512, 100)) == 1
    assert inferer.across((512, 512, 20)) == 0


def both(monkeypatch, model, volume, affine=CROOKED, classes=4, **how):
    """The labels that a segmenter of this network makes with slabs, and with all logits."""
    names = ("background", *(f"class {index}" for index in range(1, classes)))
    ours = replace(segmenter(classes=names, **how), network=model)
    made = []
    for whole in (0, 2**30):
        monkeypatch.setattr(segment_module, "WHOLE", whole)
        made.append(ours.segment_array(volume * 400, affine))
    return made


MODELS = {
    "plain": lambda: network(4),
    "mirrored": lambda: Mirrored(network(4), (0, 2)),
    "ensemble": lambda: Ensemble([network(4), network(4, seed=1)]),
}
ROTATED = np.array([[0.96, -0.28, 0, 5], [0.28, 0.96, 0, 1], [0, 0, 1.5, -7], [0, 0, 0, 1]])
THIN = {"thin": (30, 21, 3), "flat": (1, 40, 25), "small": (4, 5, 3)}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("spacing", [None, (1.5, 1.5, 1.5), (0.8, 1, 0.7), (0.5, 4, 1), (9, 9, 9)])
@pytest.mark.parametrize("affine", [CROOKED, ROTATED], ids=["turned", "rotated"])
def test_labels_made_of_slabs_are_those_of_the_whole(monkeypatch, make, spacing, affine):
    volume = np.pad(image((19, 24, 30)), [(0, 3), (2, 0), (1, 4)])
    slabs, whole = both(monkeypatch, make(), volume, affine, spacing=spacing, crop="foreground")
    np.testing.assert_array_equal(slabs, whole)
    assert len(np.unique(whole)) == 4


@pytest.mark.parametrize("spacing", [None, (1, 1, 1)])
@pytest.mark.parametrize("shape", THIN.values(), ids=THIN)
def test_so_are_those_of_volumes_thinner_than_the_patch(monkeypatch, shape, spacing):
    slabs, whole = both(monkeypatch, network(4), image(shape), spacing=spacing)
    np.testing.assert_array_equal(slabs, whole)


def test_300_classes_are_told_apart(monkeypatch):
    labels = np.arange(20 * 9 * 11).reshape(20, 9, 11) % 300
    slabs, whole = both(monkeypatch, Oracle(300, 400.0), labels / 400, classes=300)
    assert slabs.dtype == np.uint16
    np.testing.assert_array_equal(slabs, labels)
    np.testing.assert_array_equal(slabs, whole)


@pytest.mark.parametrize("free, fits", [(3e6, False), (5e6, True)])
def test_a_slab_that_does_not_fit_is_refused(monkeypatch, free, fits):
    """300 classes of 8 x 20 x 20 voxels, 4 bytes each, are 3.8 MB; of 40 x 20 x 20 they are 19."""
    monkeypatch.setattr(segment_module, "WHOLE", 0)
    memory = psutil.virtual_memory()._replace(available=int(free))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    ours = replace(segmenter(classes=tuple(map(str, range(300)))), network=Oracle(300).eval())
    with nullcontext() if fits else pytest.raises(UserError, match="300 classes of 8 x 20 x 20"):
        ours.segment_array(np.zeros((40, 20, 20), np.float32), np.eye(4))


PEAK = """
import sys
import numpy as np, torch
from tests.trainers.oracle import Oracle, segmenter
from dataclasses import replace
from trainers.volumes import segment
segment.WHOLE = 0
torch.set_num_threads(1)
names = tuple(map(str, range(40)))
ours = replace(segmenter(classes=names, spacing=(0.9, 1, 1)), network=Oracle(40).eval())
ours.segment_array(np.zeros((64, 64, int(sys.argv[1])), np.float32), np.eye(4))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(length: int) -> int:
    """Bytes of a process that segments 64 x 64 x `length` voxels with 40 classes."""
    return int(printed_by(PEAK, length)) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_memory_grows_with_the_image_and_not_with_its_logits():
    longer = 64 * 64 * 600  # voxels; with some 10 bytes each for image and labels, forth and back
    assert peak(700) - peak(100) < 24 * longer  # all logits would be 160 bytes each
