import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from nas.export.export_folder import Export
from nas.export.model_card import write_card
from nas.export.shared_weights import SharedWeights
from nas.export.write_export import write_export
from nas.pareto.pick import pick
from nas.search.components import export_settings
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.space import ArchitectureError
from tests.nas.exports import write_search
from tests.nas.results import flat_result
from trainers.data.prepare import prepare_data
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.inference import Mirrored

POINT = Hybrid(width=4, convs=1, anchors=4)


def member(key, dice, params, latency_ms):
    return flat_result(
        key=key, architecture=POINT.to_json(), dice=dice, params=params, latency_ms=latency_ms
    )


# The third gives up a little of everything.
FRONT = [member("aa11", 0.82, 100, 1.0), member("aa22", 0.90, 900, 9.0), member("bb", 0.88, 200, 2)]
OBJECTIVES = ("dice", "params", "latency_ms")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("best-dice", "aa22"),
        ("smallest", "aa11"),
        ("fastest", "aa11"),
        ("knee", "bb"),
        ("aa22", "aa22"),
        ("b", "bb"),
    ],
)
def test_a_member_is_picked_by_name_or_key(name, key):
    assert pick(FRONT, name, OBJECTIVES).key == key


def test_the_start_of_two_keys_picks_none():
    with pytest.raises(UserError, match=r"--pick aa means several networks.* aa11, aa22$"):
        pick(FRONT, "aa", OBJECTIVES)


def test_an_unknown_key_is_told_those_there_are():
    with pytest.raises(UserError, match=r"--pick zz is no member.*best-dice.*aa11, aa22, bb$"):
        pick(FRONT, "zz", OBJECTIVES)


def test_who_is_near_the_front_is_picked_by_the_key():
    near = member("cc", 0.84, 300, 3)
    assert pick(FRONT, "cc", OBJECTIVES, lambda: [near]) is near
    assert pick(FRONT, "bb", OBJECTIVES, lambda: [member("bbb", 0.8, 300, 3)]).key == "bb"


def test_no_latency_no_fastest():
    with pytest.raises(UserError, match="--pick fastest: this search measured no latency"):
        pick([member("aa", 0.5, 100, None)], "fastest", OBJECTIVES)


def test_an_empty_front_is_told_and_what_was_trained_is_picked_by_its_key():
    waits = member("cc", 0.84, 300, None)
    for name, others in (("knee", [waits]), ("fastest", [waits]), ("cc", [])):
        with pytest.raises(UserError, match="the front is empty"):
            pick([], name, OBJECTIVES, lambda others=others: others)
    assert pick([], "cc", OBJECTIVES, lambda: [waits]) is waits
    with pytest.raises(UserError, match=r"--pick zz is no member .* one of cc$"):
        pick([], "zz", OBJECTIVES, lambda: [waits])


# The folder


@pytest.fixture
def search(tmp_path, phantom_folder):
    """What a search leaves: task, split and the checkpoint of one member. Returns its parts."""
    folder = tmp_path / "search"
    config, cases, network = write_search(folder, phantom_folder, POINT, epochs=5, seed=3)
    return folder, config, network.eval(), cases


def exported(search, to):
    folder, config, *_ = search
    settings = export_settings(config, Task.read(folder))
    write_export(folder, member(POINT.key, 0.5, 1, 1.0), settings, to)
    return to


def test_an_export_opens_with_all_that_is_needed(search, tmp_path):
    opened = Export(exported(search, tmp_path / "out"))
    assert opened.architecture == POINT
    assert opened.config.name == f"mine-{POINT.key}"
    assert opened.config.seed == 3
    assert opened.config.train.epochs == 20
    assert opened.config.task.classes == ("background", "liver", "aorta", "adrenal")


def test_the_model_card_says_what_it_is_and_where_it_comes_from(search, tmp_path):
    *_, cases = search
    card = (exported(search, tmp_path / "out") / "README.md").read_text()
    assert f"architecture `{POINT.key}`" in card
    assert "- Classes: background, liver, aorta, adrenal" in card
    assert "mean validation Dice 0.5000" in card
    assert "| latency of one window, median | 1 ms |" in card
    assert f"- Cases: {len(cases.train)} training, {len(cases.validation)} validation" in card
    assert "- Search: mine, id 1234abcd" in card
    assert f"- torch {torch.__version__}" in card
    assert "no medical device" in card


def test_the_model_card_of_a_baseline_does_not_say_that_it_was_found(search, tmp_path):
    folder, config, *_ = search
    known = replace(member(POINT.key, 0.5, 1, 1.0), baseline="unet-s")
    write_export(folder, known, export_settings(config, Task.read(folder)), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "the baseline unet-s, trained by segnas" in card
    assert "found" not in card and "chosen" not in card


def test_the_model_card_says_of_how_many_trainings_dice_is_the_mean(search, tmp_path):
    folder, config, *_ = search
    again = replace(member(POINT.key, 0.5, 1, 1.0), trainings=(0.4, 0.6))
    write_export(folder, again, export_settings(config, Task.read(folder)), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "mean validation Dice over 2 trainings 0.5000" in card


def test_the_card_of_a_retrained_network_tells_its_dice(search, tmp_path):
    to = exported(search, tmp_path / "out")
    shutil.copyfile(to / "trial.pt", to / "retrained.pt")
    record = {"weights": "retrained.pt", "dice": 0.75}
    (to / "retrained.json").write_text(json.dumps(record))
    text = write_card(to).read_text()
    assert "Weights in use: `retrained.pt`" in text
    assert "Retrained: validation Dice 0.7500" in text
    record |= {"epochs": 2, "train": {"patch": [16, 16, 16], "steps_per_epoch": 10}}
    (to / "retrained.json").write_text(json.dumps(record))
    assert "Retrained for 2 epochs of 10 steps: validation Dice" in write_card(to).read_text()


def test_costs_are_told_of_the_windows_that_they_were_counted_for(search, tmp_path):
    to = exported(search, tmp_path / "out")
    assert "These costs are of the search" not in (to / "README.md").read_text()
    shutil.copyfile(to / "trial.pt", to / "retrained.pt")
    (to / "retrained.json").write_text(json.dumps({"train": {"patch": [32, 32, 32]}}))
    card = write_card(to).read_text()
    assert "windows of 32 x 32 x 32 voxels" in card
    assert "These costs are of the search, whose windows have 16 x 16 x 16 voxels." in card


def test_an_export_stands_alone_wherever_it_is_moved(search, tmp_path, monkeypatch, phantom_folder):
    folder, _, network, cases = search
    exported(search, tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    shutil.rmtree(folder)
    monkeypatch.chdir(tmp_path)
    opened = Export(tmp_path / "moved")

    _, again = prepare_data(opened.config.data, tmp_path / "work")
    assert again == cases
    image = phantom_folder / "imagesTr" / "phantom_001.nii.gz"
    segmenter = opened.segmenter()
    found = segmenter.segment(image)
    assert found.shape == (24, 24, 24)
    for ours, theirs in zip(segmenter.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours.cpu(), theirs)


def test_one_window_is_segmented_as_the_network_says(search, tmp_path):
    """From file to labels through the export, against the network and the CT window by hand."""
    *_, network, _ = search
    values = np.random.default_rng(0).integers(-300, 400, (16, 16, 16)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    x = torch.from_numpy(((values.clip(-175, 250) + 175) / 425).astype(np.float32))
    with torch.no_grad():
        expected = network(x[None, None])[0].argmax(0).numpy()
    found = Export(exported(search, tmp_path / "out")).segmenter().segment(tmp_path / "a.nii.gz")
    assert (found == expected).mean() > 0.999  # blending may turn a near tie


def test_retrained_weights_are_used_once_there_are_any(search, tmp_path):
    opened = Export(exported(search, tmp_path / "out"))
    assert opened.weights.name == "trial.pt"
    shutil.copyfile(opened.weights, tmp_path / "out" / "retrained.pt")
    assert opened.weights.name == "retrained.pt"


def test_only_a_retrained_network_is_mirrored(search, tmp_path):
    settings = ["train.augment.flips=[0]", "train.mirror=[0]"]
    mirrored = Export(exported(search, tmp_path / "out"), settings)
    assert not isinstance(mirrored.segmenter().network, Mirrored)
    shutil.copyfile(mirrored.weights, tmp_path / "out" / "retrained.pt")
    assert isinstance(mirrored.segmenter().network, Mirrored)


def test_settings_reach_an_exports_config(search, tmp_path):
    to = exported(search, tmp_path / "out")
    opened = Export(to, ["train.epochs=2", "train.all_cases=true", "data.path=elsewhere"])
    assert opened.config.train.epochs == 2
    assert opened.config.train.all_cases
    assert str(opened.config.data.path) == "elsewhere"


def test_a_student_began_with_no_shared_weights_and_may_be_no_network_of_theirs(
    search, tmp_path, monkeypatch
):
    """A supernet of another width cannot be asked for its weights."""
    folder, config, *_ = search
    monkeypatch.setattr(SharedWeights, "open", _none_of_theirs)
    student = replace(
        member(POINT.key, 0.5, 1, 1.0),
        compressed={"method": "distil", "of": "aa11", "weights": "0123456789"},
    )
    shutil.copyfile(
        folder / "checkpoints" / f"{POINT.key}.pt", folder / "checkpoints" / f"{student.name}.pt"
    )
    shared = SharedWeights(SPACE, {"width": (8,)}, 1, 4, tmp_path / "supernet.pt")
    settings = export_settings(config, Task.read(folder))
    write_export(folder, student, settings, tmp_path / "out", shared)
    assert Export(tmp_path / "out").architecture == POINT
    assert not (tmp_path / "out" / "inherited.pt").exists()


def _none_of_theirs(_):
    raise ArchitectureError("the networks that share weights here have none")


def test_an_export_never_fills_a_folder_that_is_in_use(search, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(UserError, match="out is not empty"):
        exported(search, tmp_path / "out")


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_an_export_that_cannot_be_written_is_told(search, tmp_path, target):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"is a file, no folder|cannot be made a folder"):
        exported(search, tmp_path / target)


def test_an_export_that_breaks_off_leaves_nothing(search, tmp_path, monkeypatch):
    monkeypatch.setattr("nas.export.write_export.write_card", _full_disk)
    with pytest.raises(UserError, match=r"out cannot be filled: .*No space left"):
        exported(search, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _full_disk(*_):
    raise OSError(28, "No space left on device")


def test_a_folder_that_is_no_export_is_told(tmp_path):
    with pytest.raises(UserError, match="is no export"):
        Export(tmp_path)


def test_an_edited_architecture_is_refused(search, tmp_path):
    to = exported(search, tmp_path / "out")
    record = json.loads((to / "architecture.json").read_text())
    record["architecture"]["width"] = 16
    (to / "architecture.json").write_text(json.dumps(record))
    with pytest.raises((UserError, ValueError), match="was edited"):
        Export(to)


def test_a_missing_checkpoint_is_told_before_anything_is_written(search, tmp_path):
    folder, *_ = search
    (folder / "checkpoints" / f"{POINT.key}.pt").unlink()
    with pytest.raises(UserError, match=rf"{POINT.key}\.pt"):
        exported(search, tmp_path / "out")
    assert not (tmp_path / "out").exists()
