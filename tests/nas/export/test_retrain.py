"""Retraining an exported network: once, by folds, from the trial, with a teacher, interrupted."""

import json
import shutil
import statistics
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from nas.cli.main import main
from nas.export.choose_postprocess import choose_postprocess
from nas.export.export_folder import Export
from nas.export.learnt_cases import learnt_cases
from nas.export.model_card import model_card
from nas.export.retrain import Plan, _folds, check_task, check_use, retrain
from nas.export.teacher import open_teacher
from nas.export.training_job import train_here
from search_spaces.hybrid import Hybrid
from tests.nas.exports import POINT, opened, same, weights_in, write_export
from trainers.checkpoint import write_checkpoint
from trainers.data.config import Groups
from trainers.data.splits import Cases
from trainers.errors import UserError
from trainers.inference import Ensemble, Mirrored

REFINED = {"ema": 0.9, "deep_supervision": True, "epochs": 3}


class KilledError(Exception):
    """What ends a training in the middle."""


@pytest.fixture
def make(tmp_path, phantom_folder, phantom):
    """Writes exports of one network, by name."""
    _, cases = phantom

    def write(name, **options):
        return write_export(tmp_path / name, phantom_folder, cases, **options)

    return write


def go(folder, plan=None, *settings, until=None):
    """Retrain; `until`: how many epochs are told before it is killed. Returns them and the end."""
    told = []

    def report(epoch, epochs, which):
        told.append((which, epoch.epoch, epochs))
        if len(told) == until:
            raise KilledError

    try:
        return told, retrain(opened(folder, *settings), plan or Plan(), report)
    except KilledError:
        return told, None


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_one_network_is_trained_written_and_used(make, phantom):
    _, cases = phantom
    folder = make("out", **REFINED)
    told, done = go(folder)
    assert told == [("", 1, 3), ("", 2, 3), ("", 3, 3)]
    assert done.weights == opened(folder).weights == folder / "retrained.pt"
    assert weights_in(done.weights).keys() == POINT.build(1, 4).state_dict().keys()
    record = json.loads((folder / "retrained.json").read_text())
    assert record["dice"] == done.dice == record["curve"][-1]
    assert record["epochs"] == len(record["curve"]) == 3
    assert record["train"]["ema"] == 0.9 and record["train"]["deep_supervision"]
    assert (record["from"], record["workers"], record["teacher"]) == ("scratch", 1, None)
    assert record["validation"] == list(cases.validation)
    assert not [name for name in names(folder) if name.startswith("retraining")]


@pytest.mark.parametrize(
    ("setting", "start", "why"),
    [
        ("data.preprocess.intensity=zscore", "scratch", "data.preprocess"),
        ("task.spacing=[1, 1, 1]", "scratch", "task"),
        ("data.split={validation: 0.5}", "trial", "old split"),
    ],
)
def test_what_holds_for_this_training_alone_is_refused(make, setting, start, why):
    folder = make("out")
    with pytest.raises(UserError, match=f"{why}.*"):
        go(folder, Plan(start=start), setting)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("spacing: null", "spacing: [2.0, 2.0, 2.0]", r"spacing = \(2.*, and the data has None"),
        ("channels: 1", "channels: 2", "task.channels = 2, and the data has 1"),
        ("- liver", "- spleen", "task.classes = .*spleen.*, and the data has"),
    ],
)
def test_other_data_than_those_of_the_search_are_refused(make, old, new, why):
    folder = make("out")
    told = (folder / "retrain.yaml").read_text()
    assert old in told
    (folder / "retrain.yaml").write_text(told.replace(old, new, 1))
    with pytest.raises(UserError, match=why):
        go(folder)


def test_a_split_file_of_that_name_where_the_command_runs_is_another(make, tmp_path, monkeypatch):
    folder = make("out")
    monkeypatch.chdir(tmp_path)
    own, given = Export(folder).config.data.split, Export(folder, ["data.split=split.json"])
    assert own == folder / "split.json"
    assert given.config.data.split == Path("split.json")
    with pytest.raises(UserError, match="old split"):
        check_use(given, Plan(start="trial"))


def test_channels_in_another_order_are_refused(make, phantom):
    folder = make("out")
    told = (folder / "retrain.yaml").read_text()
    two = told.replace("  channels: 1", "  channels: 2\n  modalities: [T1, FLAIR]", 1)
    (folder / "retrain.yaml").write_text(two)
    swapped = replace(phantom[0], channels=2, modalities=("FLAIR", "T1"))
    with pytest.raises(UserError, match=r"modalities = T1, FLAIR, and the data has FLAIR, T1: "):
        check_task(Export(folder), swapped)
    check_task(Export(folder), replace(swapped, modalities=("image 0", "image 1")))


def test_weights_that_are_chosen_by_hand_are_used_as_they_were_trained(make):
    folder = make("out", epochs=1, overlap=0.25)
    go(folder, Plan(), "train.all_cases=true", "train.overlap=0.5")
    go(folder, Plan(folds=2))
    assert (opened(folder).trained.overlap, opened(folder).saw_validation) == (0.25, False)
    record = json.loads((folder / "retrained.json").read_text())
    (folder / "retrained.json").write_text(json.dumps({**record, "weights": "retrained.pt"}))
    assert (opened(folder).trained.overlap, opened(folder).saw_validation) == (0.5, True)
    go(folder, Plan(), "train.overlap=0.75")
    assert opened(folder).trained.overlap == 0.75
    (folder / "retrained.json").write_text(json.dumps({**record, "weights": "folds"}))
    assert opened(folder).trained.overlap == 0.25


def test_a_network_made_of_one_that_knew_all_cases_knows_them_until_it_is_trained_anew(make):
    folder = make("out", epochs=1)
    known = json.dumps({"original": {"saw_validation": True}})
    (folder / "compression.json").write_text(known)
    assert opened(folder).saw_validation
    with pytest.raises(UserError, match="none is left to choose on"):
        choose_postprocess(opened(folder))
    _, done = go(folder, Plan(start="trial"), "train.postprocess=true")
    assert opened(folder).saw_validation
    assert done.postprocess is None
    go(folder)
    assert not opened(folder).saw_validation


def test_all_cases_train_and_test_cases_never_do(make, phantom):
    _, cases = phantom
    folder = make("out", all_cases=True)
    _, done = go(folder)
    record = json.loads((folder / "retrained.json").read_text())
    assert set(record["training"]) == {*cases.train, *cases.validation}
    assert record["validation"] == [] and done.dice is None


def test_interrupted_it_goes_on_as_if_nothing_had_been(make):
    whole, broken = make("whole", **REFINED), make("broken", **REFINED)
    go(whole)
    assert go(broken, until=2)[1] is None
    told, done = go(broken)
    assert [epoch for _, epoch, _ in told] == [3]
    assert same(weights_in(done.weights), weights_in(whole / "retrained.pt"))


def test_a_training_whose_last_words_were_lost_is_not_repeated(make):
    folder = make("out")
    go(folder, until=2)  # both epochs are trained and saved, nothing else is written
    told, done = go(folder)
    assert told == []
    record = json.loads((folder / "retrained.json").read_text())
    assert record["dice"] == pytest.approx(record["curve"][-1])
    assert done.dice == record["dice"]


def test_the_seconds_of_all_sessions_are_recorded(make):
    folder = make("out")
    go(folder, until=1)
    (draft,) = folder.glob("retraining-*.pt")
    state = torch.load(draft, weights_only=True)
    state["training"]["seconds"] = 5000.049  # records have tenths: the least session is seen
    write_checkpoint(draft, state)
    go(folder)
    assert 5000.049 < json.loads((folder / "retrained.json").read_text())["seconds"] < 6000


def test_a_folder_that_was_moved_goes_on(make, tmp_path, monkeypatch):
    folder = make("out")
    go(folder, until=1)
    folder.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    told, _ = go(Path("moved"))
    assert [epoch for _, epoch, _ in told] == [2]


@pytest.mark.parametrize("plan", [Plan(start="trial"), Plan(folds=2)])
def test_who_trains_may_work_in_another_folder(make, tmp_path, monkeypatch, plan):
    """As the processes of a Ray cluster do, which the command was not started in."""
    student, teacher = make("out"), make("teacher")
    monkeypatch.chdir(tmp_path)

    def train(job, report):
        with chdir("/"):
            return train_here(job, report)

    plan = replace(plan, teacher=Path(teacher.name))
    done = retrain(opened(Path(student.name)), plan, lambda *_: None, train=train)
    assert done.weights.parent == Path(student.name)
    assert done.weights.exists()


def test_how_fast_it_is_does_not_matter(make):
    folder = make("out")
    go(folder, until=1)
    told, _ = go(folder, None, "train.graphs=false", "train.deterministic=false")
    assert [epoch for _, epoch, _ in told] == [2]


def test_other_settings_begin_anew(make):
    folder = make("out")
    go(folder, until=1)
    told, _ = go(folder, None, "train.learning_rate=1e-3")
    assert [epoch for _, epoch, _ in told] == [1, 2]


def test_labels_that_were_corrected_meanwhile_begin_anew(make, phantom_folder, tmp_path):
    own = shutil.copytree(phantom_folder, tmp_path / "data")
    folder = make("out")
    at = f"data.path={own}"
    go(folder, None, at, until=1)
    label = next((own / "labelsTr").glob("*.nii.gz"))
    image = nib.load(label)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), label)
    told, _ = go(folder, None, at)
    assert [epoch for _, epoch, _ in told] == [1, 2]


def test_from_the_trial_begins_with_its_weights(make):
    settings = {"learning_rate": 1e-9, "weight_decay": 0.0}
    ours, theirs = make("ours", **settings), make("theirs", **settings)
    trial = weights_in(ours / "trial.pt")
    go(ours, Plan(start="trial"))
    go(theirs)
    kept, new = weights_in(ours / "retrained.pt"), weights_in(theirs / "retrained.pt")
    for name, weight in trial.items():
        torch.testing.assert_close(kept[name], weight, atol=1e-6, rtol=0)
    assert any((new[name] - weight).abs().max() > 0.01 for name, weight in trial.items())


def test_it_is_used_with_the_settings_it_was_trained_with(make):
    folder = make("out", epochs=1)
    settings = ["train.augment.flips=[1]", "train.mirror=[1]", "train.patch=[24, 24, 24]"]
    go(folder, None, *settings)
    segmenter = opened(folder).segmenter()
    assert isinstance(segmenter.network, Mirrored)
    assert segmenter.task.patch == (24, 24, 24)
    assert "windows of 24 x 24 x 24 voxels" in model_card(folder)
    (folder / "retrained.pt").unlink()
    assert opened(folder).segmenter().task.patch == (16, 16, 16)  # the trial's again
    assert "Retrained" not in model_card(folder)


def test_weights_of_the_trial_are_used_on_the_patch_of_the_search(make):
    folder = make("out", searched=[16, 16, 16], patch=[24, 24, 24], epochs=1)
    assert opened(folder).segmenter().task.patch == (16, 16, 16)
    go(folder)
    assert opened(folder).segmenter().task.patch == (24, 24, 24)


# Folds


def test_folds_are_trained_written_and_used_together(make, phantom):
    _, cases = phantom
    folder = make("out", augment={"flips": [0]}, mirror=[0])
    told, done = go(folder, Plan(folds=3))
    assert told == [(f"fold {n}/3", epoch, 2) for n in (1, 2, 3) for epoch in (1, 2)]
    record = json.loads((folder / "folds" / "folds.json").read_text())
    dice = [fold["dice"] for fold in record["folds"]]
    assert done.dice == record["dice_mean"] == pytest.approx(np.mean(dice))
    assert (
        done.spread == pytest.approx(np.std(dice, ddof=1)) == pytest.approx(statistics.stdev(dice))
    )
    validated = [name for fold in record["folds"] for name in fold["validation"]]
    assert sorted(validated) == sorted((*cases.train, *cases.validation))
    assert not [name for name in names(folder) if name.startswith(("retraining", "."))]

    export = opened(folder)
    assert export.weights == folder / "folds"
    mirrored = export.segmenter().network
    assert isinstance(mirrored, Mirrored) and isinstance(mirrored.network, Ensemble)
    members = mirrored.network.networks
    assert len(members) == 3
    assert not torch.equal(*(next(member.parameters()) for member in members[:2]))
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        mean = torch.stack([member(x).softmax(1) for member in members]).mean(0)
        torch.testing.assert_close(export.network()(x).softmax(1), mean)


def test_folds_are_interrupted_without_harm(make):
    whole, broken = make("whole", **REFINED), make("broken", **REFINED)
    plan = Plan(folds=2)
    _, expected = go(whole, plan)
    assert go(broken, plan, until=4)[1] is None  # in the second fold
    assert opened(broken).weights.name == "trial.pt"
    told, done = go(broken, plan)
    assert told == [("fold 2/2", 2, 3), ("fold 2/2", 3, 3)]
    assert (done.dice, done.spread) == (expected.dice, expected.spread)
    for n in (1, 2):
        ours, theirs = (weights_in(f / "folds" / f"fold-{n}.pt") for f in (broken, whole))
        assert same(ours, theirs)


def test_what_was_trained_last_is_what_is_used(make):
    folder = make("out")
    go(folder)
    go(folder, Plan(folds=2))
    assert opened(folder).weights == folder / "folds"
    go(folder, Plan(folds=3))  # takes the place of the other folds
    assert len(opened(folder).network().networks) == 3
    go(folder)
    assert opened(folder).weights == folder / "retrained.pt"
    assert not isinstance(opened(folder).network(), Ensemble)
    assert (folder / "folds").is_dir()


def test_folds_of_names_that_look_like_patients_are_doubted(make, phantom):
    """Where a file says how the search split them, and nothing which are whose."""
    volumes, _ = phantom
    export = Export(make("out"))
    names = [f"patient{n // 2:03}_frame{n % 2}" for n in range(12)]
    cases = Cases(tuple(names[:8]), tuple(names[8:]))
    facts = SimpleNamespace(check=lambda: SimpleNamespace(cases=()), targets=volumes.targets)
    with pytest.warns(UserWarning, match=r"to keep them together set groups: \{pattern: ") as told:
        _folds(export, facts, cases, 3)
    pattern = str(told[0].message).partition("'")[2].partition("'")[0]
    export.config = export.config.model_copy(update={"groups": Groups(pattern=pattern)})
    folds = _folds(export, facts, cases, 3)
    for fold in folds:
        assert not {name[:10] for name in fold.train} & {name[:10] for name in fold.validation}


def test_an_ensemble_that_lost_a_fold_is_told(make):
    folder = make("out")
    go(folder, Plan(folds=2))
    (folder / "folds" / "fold-2.pt").unlink()
    with pytest.raises(UserError, match=r"fold-2\.pt missing.*--folds"):
        opened(folder).segmenter()


FOLD = '{"folds": [{"weights": "fold-1.pt"}], "train": {"epochs": 0}}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("folds/folds.json", "{}", "folds.json is damaged: it names no weights"),
        ("folds/folds.json", FOLD, "epochs = 0: Input"),
    ],
)
def test_a_damaged_record_is_told(make, name, content, message):
    folder = make("out")
    go(folder, Plan(folds=2), "train.epochs=1")
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=message):
        opened(folder).segmenter()


def test_groups_stay_together_in_folds(make):
    folder = make("out")
    settings = ["groups={pattern: '_(\\d+)', size: 2}", "train.epochs=1"]
    go(folder, Plan(folds=2), *settings)
    record = json.loads((folder / "folds" / "folds.json").read_text())
    parts = [{(int(name[-3:]) - 1) // 2 for name in f["validation"]} for f in record["folds"]]
    assert not parts[0] & parts[1]


def test_folds_with_one_case_in_two_parts_are_refused(tmp_path, phantom_folder, phantom):
    """Twice in the training cases of the search it was no more than a doubt."""
    _, cases = phantom
    first, again = cases.train[:2]
    data = shutil.copytree(phantom_folder, tmp_path / "twins")
    for part in ("imagesTr", "labelsTr"):
        shutil.copy(data / part / f"{first}.nii.gz", data / part / f"{again}.nii.gz")
    folder = write_export(tmp_path / "out", data, cases)
    told = (
        rf"--folds 5: in fold \d, {again}: image and label are the same as those of {first}; that"
    )
    with (
        pytest.warns(UserWarning, match="both are in training"),
        pytest.raises(UserError, match=told),
    ):
        go(folder, Plan(folds=5))


@pytest.mark.parametrize(
    ("plan", "settings", "message"),
    [
        (Plan(folds=2), ["train.all_cases=true"], "--folds with train.all_cases"),
        (Plan(folds=2, start="trial"), [], "--folds with --from trial"),
        (Plan(folds=2, start="inherited"), [], "--folds with --from inherited"),
        (Plan(start="inherited"), [], r"has no inherited\.pt.*use --from trial"),
        (Plan(folds=6), [], "--folds 6: there are 5 cases"),
        (Plan(workers=3), [], "train.batch = 2 cannot be shared among 3 workers"),
        (Plan(), ["train.patch=[15,16,16]"], "the network has stride 4; expected multiples of it"),
    ],
)
def test_plans_that_cannot_be_are_refused_before_anything_is_trained(make, plan, settings, message):
    folder = make("out")
    with pytest.raises(UserError, match=message):
        go(folder, plan, *settings)
    assert not [name for name in names(folder) if name.startswith("retrain") and ".pt" in name]


def test_the_command_tells_what_was_written_and_what_is_next(make, segnas):
    folder = make("out")
    said = segnas.printed("retrain", folder, "--folds", "2", "--set", "train.epochs=1")
    record = json.loads((folder / "folds" / "folds.json").read_text())
    mean, spread = record["dice_mean"], record["dice_standard_deviation"]
    assert "fold 2/2 epoch 1/1  loss" in said
    assert f"2 folds of 1 epoch, validation Dice {mean:.4f} +- {spread:.4f}" in said
    assert f"fold 2: Dice {record['folds'][1]['dice']:.4f}" in said
    assert f"next: segnas evaluate {folder}" in said


@pytest.mark.parametrize(("before", "worse"), [(0.99, True), (0.0, False)])
def test_weights_that_are_worse_than_the_trials_are_said_to_be(make, capsys, before, worse):
    folder = make("out", epochs=1)
    file = folder / "architecture.json"
    record = json.loads(file.read_text())
    result = {"number": 0, "key": record["key"], "architecture": record["architecture"]}
    result |= {"state": "complete", "dice": before, "epochs": 1}
    file.write_text(json.dumps(record | {"result": result}))
    assert main(["retrain", str(folder)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert ("In the search it had 0.9900 on these cases: the new weights" in told) is worse
    assert ("(--from trial); without " in told) is worse


def test_interrupted_as_postprocessing_is_chosen_the_card_is_that_of_the_new_weights(
    make, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    folder = make("out", epochs=1)
    monkeypatch.setattr("nas.export.retrain.renew_postprocess", interrupt)
    assert main(["retrain", str(folder)]) == 130
    assert "Weights in use: `retrained.pt`" in (folder / "README.md").read_text()


def test_data_that_have_moved_are_named_for_one_training(make, phantom_folder, tmp_path, segnas):
    folder = make("out", epochs=1)
    config = folder / "retrain.yaml"
    config.write_text(config.read_text().replace(str(phantom_folder), str(tmp_path / "gone")))
    printed = segnas.printed("retrain", folder, "--set", f"data.path={phantom_folder}")
    assert "postprocessing: none on fewer than 5 cases" in printed


def test_the_command_needs_no_split_file(make):
    folder = make("out")
    (folder / "split.json").unlink()
    config = folder / "retrain.yaml"
    shares = "split: {validation: 0.4, test: 0}"
    config.write_text(config.read_text().replace("split: split.json", shares))
    assert main(["retrain", str(folder), "--set", "train.epochs=1"]) == 0
    assert (folder / "retrained.pt").exists()


def test_a_training_that_diverges_is_one_clear_error(make, segnas):
    folder = make("out")
    wild = ["--set", "train.learning_rate=1e30", "--set", "train.clip=1e30"]
    assert "the training diverged: the loss is nan" in segnas.refused("retrain", folder, *wild)
    assert not (folder / "retrained.pt").exists()


@pytest.mark.parametrize("wrong", [["--folds", "1"], ["--workers", "0"], ["--from", "nowhere"]])
def test_the_command_refuses_what_makes_no_sense(make, wrong):
    with pytest.raises(SystemExit):
        main(["retrain", str(make("out")), *wrong])


# Teachers


def test_a_student_learns_from_another_export(make):
    teacher = make("teacher", point=replace(POINT, width=8), trial_seed=5)
    folder = make("student", distillation={"weight": 1.0, "temperature": 1.0})
    go(folder, Plan(teacher=teacher))
    record = json.loads((folder / "retrained.json").read_text())
    key = replace(POINT, width=8).key
    assert record["teacher"]["key"] == key
    assert f"taught by the network `{key}`: validation Dice" in model_card(folder)
    other = make("other", distillation={"weight": 1.0, "temperature": 1.0})
    write_checkpoint(
        teacher / "trial.pt", {"weights": replace(POINT, width=8).build(1, 4).state_dict()}
    )
    go(other, Plan(teacher=teacher))
    assert not same(weights_in(folder / "retrained.pt"), weights_in(other / "retrained.pt"))


def test_an_ensemble_teaches(make):
    teacher = make("teacher", epochs=1, steps_per_epoch=1)
    go(teacher, Plan(folds=2))
    seen = []

    def train(job, report):
        seen.append(job.teacher.network())
        return train_here(job, report)

    student = make("student")
    retrain(opened(student), Plan(teacher=teacher), lambda *_: None, train=train)
    assert isinstance(seen[0], Ensemble)
    assert opened(student).saw_validation  # through its teacher, whose folds have learnt all cases


def test_folds_whose_teacher_knew_their_cases_have_no_postprocessing_chosen_on_them(make):
    teacher, student = make("teacher"), make("student", epochs=1)
    _, done = go(student, Plan(teacher=teacher, folds=2))
    assert opened(student).saw_validation and opened(student).weights.name == "folds"
    assert done.postprocess is None and not (student / "postprocess.json").exists()


def test_a_student_knows_what_a_teacher_of_another_split_has_learnt(make):
    teacher, student = make("teacher", epochs=1), make("student", epochs=1)
    go(student, Plan(teacher=teacher))
    assert not opened(student).saw_validation
    go(teacher, None, "data.split={validation: 0.2, seed: 5}")
    go(student, Plan(teacher=teacher))
    assert opened(student).saw_validation


def test_what_a_teacher_has_learnt_of_the_test_cases_is_known_of_its_student(
    tmp_path, phantom_folder, phantom
):
    first, second, third, *rest = phantom[0].names
    cases = Cases((first, second), (third,), tuple(rest))
    teacher, student, small = (
        write_export(tmp_path / name, phantom_folder, cases, epochs=1)
        for name in ("teacher", "student", "small")
    )
    split = tmp_path / "other.json"
    split.write_text(Cases(tuple(rest), (third,)).to_json())
    go(teacher, None, f"data.split={split}")
    go(student, Plan(teacher=teacher))
    original = {"learnt": rest}  # as a compression of the teacher has it
    (small / "compression.json").write_text(json.dumps({"original": original}))
    for folder in (student, small):
        assert learnt_cases(opened(folder)).training == {first, second, *rest}
        assert not opened(folder).saw_validation
    go(small)  # from new weights
    assert learnt_cases(opened(small)).training == {first, second}


def test_a_teacher_that_sees_the_channels_in_another_order_is_refused(make):
    folders = make("student"), make("teacher")
    for folder, names in zip(folders, ("[T1, FLAIR]", "[FLAIR, T1]"), strict=True):
        text = (folder / "retrain.yaml").read_text()
        two = f"  channels: 2\n  modalities: {names}"
        (folder / "retrain.yaml").write_text(text.replace("  channels: 1", two, 1))
    with pytest.raises(
        UserError, match=r"its modalities: FLAIR, T1; expected .*student in their order: T1, FLAIR"
    ):
        open_teacher(folders[1], Export(folders[0]))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("task.channels=2", "its channels: 2; expected those of .*student: 1"),
        ("task.classes=[background, liver, aorta, kidney]", "its classes: .*'kidney'"),
        ("task.spacing=[1, 1, 2]", r"its spacing in mm: \(1.0, 1.0, 2.0\)"),
        ("data.preprocess.window=[-100, 100]", "its preprocessing: "),
    ],
)
def test_a_teacher_of_something_else_is_refused(make, setting, message):
    student, teacher = make("student"), make("teacher")
    config = Export(teacher, [setting]).config
    from nas.config.yaml_file import write_config

    write_config(config, teacher / "retrain.yaml")
    with pytest.raises(UserError, match=message):
        go(student, Plan(teacher=teacher))


def test_a_teacher_that_cannot_take_the_patch_is_refused(make):
    teacher = make("teacher", point=Hybrid(width=4, convs=1, anchors=0, levels=5, stem_stride=2))
    with pytest.raises(UserError, match=r"cannot take the patch of .*stride, 32; set train.patch"):
        go(make("student"), Plan(teacher=teacher))


def test_another_split_is_no_reason_to_refuse_a_teacher(make):
    teacher = make("teacher")
    (teacher / "split.json").write_text(Cases(("a",), ("b",)).to_json())
    told, _ = go(make("student", epochs=1), Plan(teacher=teacher))
    assert len(told) == 1
