"""More classes than a byte can number: from the data set to every file that is made of it."""

import json
import warnings

import nibabel as nib
import numpy as np
import pytest
import torch

from nas.cli.main import main
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import load_segmenter
from nas.export.deploy.parity_check import folder_cases
from tests.nas.export.test_deploy import QUICK
from tests.nas.exports import POINT, write_export
from tests.slow import and_slow
from tests.trainers.oracle import Oracle
from trainers.config import TrainConfig
from trainers.data.config import Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.patches import PatchSampler
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.data.task import Task
from trainers.evaluate import evaluate_folder
from trainers.predict import predict_folder
from trainers.segmenter import Segmenter, SegmenterSpec
from trainers.trainer import Trainer

PATCH = (8, 8, 8)
SHAPE = (12, 10, 9)
COUNTS = (256, 257, 300)
PREPROCESS = Preprocess(spacing="native", crop="none", intensity="ct", window=(0, 400))


def names(count):
    return ("background", *(f"part {n}" for n in range(1, count)))


def segmenter(count, window=(0, 400)):
    return Segmenter(
        network=Oracle(count, 400.0).eval(),  # an image holds its label
        spec=SegmenterSpec(
            task=Task(channels=1, classes=names(count), spacing=None, patch=PATCH),
            preprocess=PREPROCESS.model_copy(update={"window": window}),
            overlap=0.25,
        ),
    )


def labels(seed, values):
    """Blocks of two voxels of these classes; all of them where there is room."""
    rng = np.random.default_rng(seed)
    small = rng.permutation(np.resize(values, 6 * 5 * 5)).reshape(6, 5, 5)
    blocks = small.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return blocks[tuple(slice(n) for n in SHAPE)].astype(np.uint16)


@pytest.fixture(params=COUNTS)
def count(request):
    return request.param


@pytest.fixture
def folder(tmp_path, count):
    return write_data(tmp_path / "data", count)


def write_data(folder, count):
    """Three cases: the first classes, the last, and of 300 those that one byte makes 0 and 1."""
    kinds = (np.arange(100), np.arange(count - 100, count), [0, min(256, count - 1), count - 1])
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for seed, values in enumerate(kinds):
        label = labels(seed, values)
        for kind, volume in (("imagesTr", label.astype(np.float32)), ("labelsTr", label)):
            nib.save(nib.Nifti1Image(volume, np.eye(4)), folder / kind / f"{seed}.nii.gz")
    told = {"modality": {"0": "CT"}, "labels": {str(n): x for n, x in enumerate(names(count))}}
    (folder / "dataset.json").write_text(json.dumps(told))
    return folder


def smallest(count):
    return np.uint8 if count <= 256 else np.uint16


def test_labels_are_kept_and_trained(folder, count, tmp_path):
    split = Split(validation=0.34)
    cache, cases = prepare_data(
        MsdData(path=folder, preprocess=PREPROCESS, split=split), tmp_path / "work"
    )
    for name in cache.names:
        label = nib.load(folder / "labelsTr" / f"{name}.nii.gz").get_fdata()
        assert cache.label(name).dtype == smallest(count)
        np.testing.assert_array_equal(cache.label(name), label)
    _, batch = PatchSampler(cache, ("2",), PATCH, 4, foreground=1.0).batch()
    assert set(batch.unique().tolist()) == {0, min(256, count - 1), count - 1}
    config = TrainConfig(
        patch=PATCH, epochs=1, steps_per_epoch=2, loss={"class_weights": "inverse"}
    )
    training = Trainer(
        POINT.build(1, count), cache, cases, config, device=torch.device("cpu"), seed=0
    )
    report = training.run_epoch()
    assert np.isfinite(report.loss)
    assert set(report.dice_per_class) <= set(names(count)[1:])


def test_predictions_and_scores(folder, count, tmp_path):
    done = predict_folder(segmenter(count), folder / "imagesTr", tmp_path / "out")
    assert not done.failed
    for path in done.written:
        found, expected = nib.load(path), nib.load(folder / "labelsTr" / path.name)
        assert found.get_data_dtype() == smallest(count)
        np.testing.assert_array_equal(found.get_fdata(), expected.get_fdata())
    found = evaluate_folder(segmenter(count), folder / "imagesTr", folder / "labelsTr")
    assert found.dice == 1.0
    assert found.dice_per_class[names(count)[-1]] == 1.0


@pytest.mark.parametrize("kind", and_slow(["torchscript"], ["onnx"]))
def test_a_deployed_network_gives_the_same(tmp_path, kind):
    folder = write_data(tmp_path / "data", 300)
    ours = segmenter(300)
    cases = folder_cases(folder / "imagesTr", folder / "labelsTr", 3, ours.task)
    source = Source(
        segmenter=ours, strides=(1, 1, 1), name="many", key="0123456789", weights="trial"
    )
    record = deploy(source, cases, kind, "fp32", tmp_path / "deployed", QUICK)
    assert record.checks.dice == 1.0
    found = load_segmenter(tmp_path / "deployed").segment(cases[1].image)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, nib.load(cases[1].label).get_fdata())


def test_an_export_is_retrained_and_used_by_command(tmp_path, capsys):
    folder = write_data(tmp_path / "data", 300)
    cases = Cases(train=("0", "1"), validation=("2",), test=())
    export = write_export(tmp_path / "export", folder, cases, classes=names(300))
    assert main(["retrain", str(export)]) == 0
    images, truth, out = folder / "imagesTr", folder / "labelsTr", tmp_path / "out"
    assert main(["predict", str(export), "--images", str(images), "--to", str(out)]) == 0
    assert nib.load(out / "1.nii.gz").get_data_dtype() == np.uint16
    capsys.readouterr()
    arguments = ["--images", str(images), "--labels", str(truth), "--json"]
    assert main(["evaluate", str(export), *arguments]) == 0
    assert len(json.loads(capsys.readouterr().out)["dice_per_class"]) == 299


def test_a_dicom_seg_numbers_them_all(tmp_path):
    from tests.trainers.dicom_series import write_series

    highdicom = pytest.importorskip("highdicom")
    label = labels(0, [0, 1, 255, 256, 257, 299])
    write_series(tmp_path / "dicom" / "x", label.astype(float) * 2)  # its slope is 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names in the data sets
        done = predict_folder(segmenter(300, window=(0, 800)), tmp_path / "dicom", tmp_path / "out")
        assert not done.failed
        found = highdicom.seg.segread(done.written[0])
    assert found.number_of_segments == 299
    volume = found.get_volume(combine_segments=True)
    np.testing.assert_array_equal(volume.array, label)
