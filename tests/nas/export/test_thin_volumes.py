"""Volumes thinner than the patch, and logits held by slabs, wherever a network is used."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from nas.export.deploy.bundle import run_bundle
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import load_segmenter
from nas.export.deploy.parity_check import CheckCase
from tests.nas.export.test_bundle_volumes import CT, SPACED, bundle_of, segmenter
from tests.nas.export.test_deploy import QUICK, Shrink
from tests.slow import and_slow
from tests.trainers.oracle import Oracle, truth, write
from trainers.data.config import Preprocess
from trainers.evaluate import evaluate_folder
from trainers.predict import predict_folder

SHAPES = {"first": (3, 20, 17), "second": (20, 5, 17), "third": (17, 20, 6), "all": (2, 7, 5)}
"""By the axes along which they are thinner than the patch of 8."""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("thin")
    for name, shape in SHAPES.items():
        label = truth(shape, len(name))
        write(folder / "images" / f"{name}.nii.gz", label.astype(np.float32) * 100)
        write(folder / "labels" / f"{name}.nii.gz", label)
    return folder / "images"


def assert_same_labels(found: Path, expected: Path) -> None:
    for name in SHAPES:
        one, other = (nib.load(folder / f"{name}.nii.gz").dataobj for folder in (found, expected))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", and_slow(["torchscript"], ["bundle", "onnx", "torch-export"]))
def test_every_deployed_format_pads_them_as_pytorch_does(images, tmp_path, kind):
    torch.manual_seed(3)
    ours = segmenter(Preprocess(spacing="native", crop="none"), Shrink(), 4)
    source = Source(segmenter=ours, strides=(2, 2, 2), name="small", key="01234", weights="trial")
    case = CheckCase("x", images / "first.nii.gz", None)
    deploy(source, [case], kind, "fp32", tmp_path / "d", QUICK)
    deployed = load_segmenter(tmp_path / "d")
    for name in SHAPES:
        found, expected = (one.segment(images / f"{name}.nii.gz") for one in (deployed, ours))
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(found, expected)


def test_predictions_and_scores_of_them(images, tmp_path):
    ours = segmenter(Preprocess(**CT), Oracle(), 3)
    assert not predict_folder(ours, images, tmp_path).failed
    assert_same_labels(tmp_path, images.parent / "labels")
    assert evaluate_folder(ours, images, images.parent / "labels").dice == 1.0


@pytest.mark.parametrize("spaced", [False, True], ids=["native", "resampled"])
@pytest.mark.parametrize("by_slabs", [False, True], ids=["whole", "by slabs"])
def test_a_bundle_makes_of_them_what_segnas_makes(images, tmp_path, spaced, by_slabs):
    torch.manual_seed(3)
    preprocess = Preprocess(**(SPACED if spaced else {"spacing": "native"}))
    ours = segmenter(preprocess, Shrink(), 4)
    bundle = bundle_of(ours, tmp_path / "bundle", images / "second.nii.gz")
    if by_slabs:
        script = bundle / "scripts" / "segment.py"
        script.write_text(script.read_text().replace("WHOLE = 2**30", "WHOLE = 0"))
        assert "WHOLE = 0" in script.read_text()
    run_bundle(bundle, sorted(images.iterdir()), tmp_path / "made")
    predict_folder(ours, images, tmp_path / "expected")
    assert_same_labels(tmp_path / "made", tmp_path / "expected")
