"""Several exported folders as one: `segnas predict`, `evaluate` and `deploy`."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

import nas
from nas.cli.main import main
from nas.config.yaml_file import write_config
from nas.export.deploy.deploy import Source
from nas.export.export_folder import Export
from tests.nas.exports import CLASSES, POINT, write_export
from trainers.checkpoint import write_checkpoint
from trainers.ensemble import SegmenterEnsemble


@pytest.fixture
def make(tmp_path, phantom_folder, phantom):
    """Writes exports, by name."""
    _, cases = phantom
    return lambda name, **options: write_export(tmp_path / name, phantom_folder, cases, **options)


@pytest.fixture
def pair(make):
    """Two networks of other widths, seeds and patches."""
    wide = replace(POINT, width=8)
    return make("a"), make("b", point=wide, trial_seed=5, patch=[24, 24, 24])


@pytest.fixture
def image(phantom_folder):
    return min((phantom_folder / "imagesTr").iterdir())


def predicted(to, *folders, images):
    assert main(["predict", *map(str, folders), "--images", str(images), "--to", str(to)]) == 0
    return np.asarray(nib.load(to / images.name).dataobj)


def test_predict_averages_folders(pair, image, tmp_path, capsys):
    found = predicted(tmp_path / "out", *pair, images=image)
    said = capsys.readouterr().err.replace("\n", "")
    assert f"trial weights: {pair[0]}/trial.pt and trial weights: {pair[1]}/trial.pt" in said
    ensemble = nas.load_segmenter(*pair)
    assert isinstance(ensemble, SegmenterEnsemble)
    np.testing.assert_array_equal(found, ensemble.segment(image))
    alone = [nas.load_segmenter(folder).segment(image) for folder in pair]
    assert all((found != one).any() for one in alone)


def test_python_takes_paths_as_text(make, image, tmp_path, monkeypatch):
    make("a")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert nas.Export("~/a").architecture == POINT
    done = nas.predict_folder(nas.load_segmenter("~/a"), str(image), "~/out")
    assert done.written == [tmp_path / "out" / image.name]


def test_a_folder_twice_is_that_folder(pair, image, tmp_path):
    once = predicted(tmp_path / "once", pair[0], images=image)
    twice = predicted(tmp_path / "twice", pair[0], pair[0], images=image)
    np.testing.assert_array_equal(once, twice)


def test_evaluate_scores_the_ensemble(pair, phantom_folder, image, segnas):
    labels = phantom_folder / "labelsTr"
    record = segnas.json("evaluate", *pair, "--images", image.parent, "--labels", labels)
    assert str(pair[0]) in record["network"] and str(pair[1]) in record["network"]
    found = nas.load_segmenter(*pair).segment(image)
    truth = np.asarray(nib.load(labels / image.name).dataobj)
    case = record["cases"][image.name.removesuffix(".nii.gz")]
    for number, name in enumerate(CLASSES[1:], start=1):
        a, b = found == number, truth == number
        expected = 2 * (a & b).sum() / (a.sum() + b.sum())
        assert case["dice_per_class"][name] == pytest.approx(expected)


def test_folders_of_other_classes_are_one_line(make, tmp_path, image, segnas):
    ours = make("a")
    theirs = make("b", classes=("background", "liver", "aorta"))
    words = ["--images", str(image), "--to", str(tmp_path / "out")]
    said = segnas.refused("predict", ours, theirs, *words)
    assert f"{ours} and {theirs} are no ensemble: classes background, liver, aorta, adrenal" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_folders_are_deployed_as_one_file(make, phantom_folder, image, tmp_path, capsys):
    ours, theirs = make("a"), make("b", point=replace(POINT, width=8), trial_seed=5)
    to = tmp_path / "deployed"
    words = ["--format", "torchscript", "--to", str(to), "--cases", "1"]
    assert main(["deploy", str(ours), str(theirs), *words]) == 0
    keys = [Export(folder).architecture.key for folder in (ours, theirs)]
    assert json.loads((to / "deployment.json").read_text())["key"] == "+".join(keys)
    networks = [Export(folder).network() for folder in (ours, theirs)]
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        mean = torch.stack([network(x).softmax(1) for network in networks]).mean(0)
        found = nas.load_segmenter(to).network(x).softmax(1)
    torch.testing.assert_close(found, mean, rtol=1e-3, atol=1e-4)


def test_folders_of_regions_are_deployed_as_one_ensemble(make, image):
    regions = ["task.regions=[{name: organs, labels: [1, 2, 3], value: 1}]"]
    folders = [make(name, trial_seed=seed) for name, seed in (("a", 1), ("b", 2))]
    for folder, seed in zip(folders, (1, 2), strict=True):
        write_config(Export(folder, regions).config, folder / "retrain.yaml")
        torch.manual_seed(seed)
        write_checkpoint(folder / "trial.pt", {"weights": POINT.build(1, 1).state_dict()})
    deployed = Source.of(*map(Export, folders)).segmenter
    found = deployed.segment(image)
    assert 0 < found.mean() < 1  # the one region, and what is in none
    expected = nas.load_segmenter(*folders).segment(image)
    assert (found != expected).mean() < 1e-3


def test_folders_that_see_images_otherwise_are_not_one_file(make):
    ours, theirs = make("a"), make("b", patch=[24, 24, 24])
    config = Export(theirs, ["data.preprocess.window=[-100, 100]"]).config
    write_config(config, theirs / "retrain.yaml")
    with pytest.raises(nas.UserError, match=r"a and .*b differ in patch, window; .*by itself"):
        Source.of(Export(ours), Export(theirs))


def test_folders_that_were_trained_on_files_of_other_voxels_are_one_file(make):
    ours, theirs = make("a"), make("b")
    config = Export(theirs, ["task.voxel_size=[1.0, 1.0, 1.2]"]).config
    write_config(config, theirs / "retrain.yaml")
    assert Source.of(Export(ours), Export(theirs)).name == "tiny"
