"""A whole plan of small data, its file, and what it refuses."""

import json
import warnings

import nibabel as nib
import numpy as np
import pytest
import yaml
from rich.console import Console

from nas.analysis.plan import make_plan
from nas.analysis.plan.batch import choose_batch
from nas.analysis.plan.choice import Choice
from nas.analysis.plan.configuration import configuration_tree
from nas.analysis.plan.data_survey import hand_over, survey_data
from nas.analysis.plan.deadline import Deadline
from nas.analysis.plan.forecast import Pool, forecast
from nas.analysis.plan.foreground import sample_foreground
from nas.analysis.plan.groups import choose_groups
from nas.analysis.plan.limits import choose_limits
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.networks import restrictions
from nas.analysis.plan.patch import choose_patch
from nas.analysis.plan.plan_search import SearchPlan
from nas.analysis.plan.plan_step import StepPlan
from nas.analysis.plan.preprocessing import choose_preprocessing
from nas.analysis.plan.sample import prepared_sample
from nas.analysis.plan.schedule import Length, Pace, choose_length
from nas.analysis.plan.scratch import scratch_folder
from nas.analysis.plan.split import choose_split
from nas.analysis.plan.summary import summary_lines, told_classes, told_doubts, told_patients
from nas.analysis.plan.write_yaml import commented_yaml, plain
from nas.analysis.preview.time_candidates import Timing
from nas.cli.main import main
from nas.cli.planning import planned_file
from nas.cli.search import _warn_of_trials
from nas.config import yaml_values
from nas.config.run_config import RunConfig
from nas.config.yaml_file import check_settings
from nas.search.stages import Stages
from tests.trainers.data.volumes import SHAPE, write_msd, write_nifti
from trainers.data.build_cache import build_cache
from trainers.data.check import examine
from trainers.data.config import OwnSplit, Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.splits import Cases, split_cases
from trainers.errors import UserError


def silent(*_):
    """No progress."""


@pytest.fixture(scope="module")
def planned(phantom_folder, tmp_path_factory):
    """The plan of six CT-like phantoms of 24^3, and the folder in which it was made."""
    workdir = tmp_path_factory.mktemp("planned")
    source = MsdData(path=phantom_folder)
    return make_plan(source, "phantoms", workdir, 0.2, silent), workdir


@pytest.mark.slow
def test_a_plan_of_phantoms(planned, phantom_folder):
    plan, workdir = planned
    assert RunConfig.model_validate(yaml_values.load(plan.to_yaml("segnas search"))) == plan.config
    config = plan.config
    assert config.data.path == phantom_folder.resolve()
    assert config.data.preprocess.spacing == "native"
    assert config.data.preprocess.intensity == "ct"
    assert config.train.patch == (24, 24, 24)
    assert config.data.split.test == 0
    assert 0 < config.search.hours < 0.2
    assert config.search.warm_start == ("ladder",)
    [expected] = [line for line in plan.lines if line.startswith("Expected")]
    assert float(expected.split()[1]) <= 0.2
    assert [path.name for path in workdir.iterdir()] == ["cache"]  # nothing is left of the sample


@pytest.fixture
def made(tmp_path):
    """The keys of a plan of which nothing was measured."""
    folder = write_msd(tmp_path / "data", [f"p{n:02}_{scan}" for n in range(20) for scan in "ab"])
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    groups = choose_groups(survey.names)
    split = choose_split(survey.names, groups.value)
    cases = split_cases(survey.names, split.value)
    machine = MachineFacts(cores=2, memory=8 << 30)
    costs = {"params": 1e5, "macs": 4e8, "memory": 1e8}
    timing = Timing(0.1, 0.02)
    patch = choose_patch((12, 14, 10), (1, 1, 1), 1e6, "")
    batch = choose_batch(machine, 1680, survey.voxels, 1e8, 1.0)
    step = StepPlan((1.0, 1.0, 1.0), patch, batch, costs, timing, windows=1)
    length = choose_length(pace := Pace(timing, 8, 0.0, 2), 1500)
    pool = Pool([costs] * 20, [(costs, timing)] * 3)
    trials, told = forecast(pool, [costs], length, pace, 0.5, 1500)
    limits = choose_limits("hybrid-m", costs["macs"], costs["memory"], machine)
    search = SearchPlan(length, limits, restrictions(20), trials, 0.5, 0.1, told)
    preprocess = choose_preprocessing(survey, cases, silent)
    source = MsdData(path=folder).portable()
    tree = configuration_tree("balls", source, preprocess, split, groups, step, search, machine)
    lines = summary_lines(survey, split.value, cases, machine, step, search, Deadline(0.5, 60))
    return tree, list(lines)


def test_doubts_about_the_data_are_counted(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b", "c"])
    assert told_doubts(survey_data(MsdData(path=folder), tmp_path, silent)) == []
    write_nifti(folder / "labelsTr" / "a.nii.gz", np.zeros(SHAPE, np.uint8))
    [line] = told_doubts(survey_data(MsdData(path=folder), tmp_path, silent))
    assert "segnas check tells 1 doubt" in line


def test_the_file_is_the_configuration_with_comments(made):
    """As YAML 1.2 reads it, and as PyYAML does."""
    text = commented_yaml(made[0], ["segnas search balls.yaml", *made[1]])
    config = RunConfig.model_validate(plain(made[0]))
    assert RunConfig.model_validate(yaml_values.load(text)) == config
    assert RunConfig.model_validate(yaml.safe_load(text)) == config
    first, *_ = lines = text.splitlines()
    assert first == "# segnas search balls.yaml"
    assert max(map(len, lines)) <= 100
    assert sum("#" in line for line in lines) > 20
    assert "ends nothing, hours do" in text
    assert config.train.patch == (12, 16, 12)
    assert config.data.split.groups.pattern == r"^(p\d+)_"
    assert config.retrain.epochs == 4 * config.train.epochs
    assert config.retrain.augment.preset == "light"
    assert config.train.loss.dice_form == config.retrain.loss.dice_form == "log"


def test_odd_names_and_numbers_come_back():
    odd = {"CT: a #1": "robust", "yes": "1e3", "T1 {x}": {"kind": "ct", "window": [-1.5, 2e6]}}
    tree = {"intensity": Choice(odd, "a reason\nof two lines: # and more"), "none": Choice({}, "")}
    text = commented_yaml(tree, ["of classes: a\nb"])
    assert yaml_values.load(text) == yaml.safe_load(text) == {"intensity": odd, "none": {}}


def test_what_is_told_of_a_plan(made):
    data, patients, plan, expected, *_ = made[1]
    assert "40 cases (32 training, 8 validation) of MRI" in data
    assert "2 classes: low, high; the smallest" in data
    assert patients.startswith("Patients: 20, 2 cases each (by names like p00_a)")
    assert "patches of 12 x 16 x 12, 2 a step" in plan
    assert float(expected.split()[1]) <= 0.5


def test_that_no_patients_are_recognised_is_told(tmp_path):
    folder = write_msd(tmp_path / "data", ["case_1", "case_2"])
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    told = told_patients(survey, Split())
    assert told.startswith("No patients recognised: each case counts as one; set data.split.groups")
    assert "the parts are those of dataset.json" in told_patients(survey, OwnSplit())


def test_regions_are_told_in_the_place_of_classes(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b"])
    regions = {"whole": [1, 2], "core": [2]}
    survey = survey_data(MsdData(path=folder, regions=regions), tmp_path, silent)
    core = int(np.median([case.voxels[2] for case in survey.cases]))
    told = f"2 regions: whole, core; the smallest, core, has {core:,} voxels in the median."
    assert told_classes(survey) == told


def test_a_forecast_takes_as_many_trials_as_there_is_time_for():
    costs = {"macs": 1e8, "memory": 1e8}
    timed = [(costs, Timing(0.1, 0.02))] * 3
    length = Length(epochs=9, steps=100, validate_every=3, early_stopping=None)
    pace = Pace(Timing(0.1, 0.02), 10, 0.0, 2)
    trials, told = forecast(Pool([costs] * 9, timed), [], length, pace, 1.0, 1000)
    each = 0.5 + 9 * (100 * 0.1 + 0.15) + 3 * 10 * 0.02  # 92.5 s, and 15 s to begin
    assert told.hours * 3600 == pytest.approx(15 + each * -(-trials // 2))
    assert (trials, told.trials) == (20, 20)  # 10 rounds; 11 would take 1032 s


def test_a_forecast_of_a_day_on_a_cluster_is_of_a_day():
    costs = {"macs": 1e8, "memory": 1e8}
    length = Length(epochs=9, steps=100, validate_every=3, early_stopping=None)
    pace = Pace(Timing(0.1, 0.02), 10, 0.0, 8)
    pool = Pool([costs] * 9, [(costs, Timing(0.1, 0.02))] * 3)
    trials, told = forecast(pool, [], length, pace, 24.0, 24 * 3600)
    assert 0.8 * 24 < told.hours <= 24
    assert trials == pytest.approx(8 * told.hours * 3600 / 92.5, rel=0.01)


def test_what_was_read_is_not_read_again(phantom_folder, tmp_path, monkeypatch):
    source, chosen = MsdData(path=phantom_folder), Preprocess(crop="none")
    survey = survey_data(source, tmp_path, silent)
    assert list(survey.cases) == list(examine(source.open(tmp_path)).cases)
    monkeypatch.setattr("trainers.data.check.run.CaseCheck", None)  # it reads no case
    assert survey_data(source, tmp_path, silent) == survey
    hand_over(survey.source, source, chosen, tmp_path)
    cache = build_cache(survey.source, chosen, tmp_path / "cache")
    assert list(cache.check().cases) == list(survey.cases)


def test_another_file_is_read_again(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b"])
    source = MsdData(path=folder)
    survey_data(source, tmp_path, silent)
    label = nib.load(folder / "labelsTr" / "b.nii.gz")
    emptier = np.asarray(label.dataobj).copy()
    emptier[emptier == 2] = 1
    nib.save(nib.Nifti1Image(emptier, label.affine), folder / "labelsTr" / "b.nii.gz")
    survey = survey_data(source, tmp_path, silent)
    assert survey.cases[1].voxels[2] == 0


def test_the_window_is_that_of_labelled_voxels_of_training_cases(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b", "c"], modalities=("CT",))
    for name, value in (("a", 100), ("b", 300), ("c", 9000)):
        label = np.asarray(nib.load(folder / "labelsTr" / f"{name}.nii.gz").dataobj)
        image = np.where(label > 0, value, -1000).astype(np.int16)
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / f"{name}.nii.gz")
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    assert set(sample_foreground(survey.source.cases[:2], silent).ravel()) == {100, 300}
    chosen = choose_preprocessing(survey, Cases(("a", "b"), ("c",)), silent)
    assert chosen.value.window == (100.0, 300.0)


def test_training_cases_without_labels_have_no_say_in_the_window(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b"], modalities=("CT",))
    write_nifti(folder / "labelsTr" / "a.nii.gz", np.zeros(SHAPE, np.uint8))
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    for training in ("a", "b"):
        chosen = choose_preprocessing(survey, Cases((training,), ()), silent)
        assert 60 <= chosen.value.window[0] < 100 < chosen.value.window[1] <= 140


def test_modalities_that_differ_have_an_intensity_each(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b"], modalities=("CT", "PET"))
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    chosen = choose_preprocessing(survey, Cases(("a",), ("b",)), silent)
    settings = chosen.value.of_channels(("CT", "PET"))
    assert [one.kind for one in settings.intensities] == ["ct", "robust"]
    low, high = settings.intensities[0].window
    assert low < 80 < 120 < high  # of a normal distribution around 100, deviation 10
    assert high - low < 80


def test_the_border_that_is_cropped_does_not_count_for_the_patch(tmp_path):
    folder = write_msd(tmp_path / "data", ["a", "b"])
    image = np.zeros((12, 14, 10), np.float32)
    image[3:9, 2:12, :] = 5
    for name in "ab":
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / f"{name}.nii.gz")
    survey = survey_data(MsdData(path=folder), tmp_path, silent)
    with prepared_sample(survey, Preprocess(spacing="native"), tmp_path, silent) as sample:
        assert sample.shape == (6, 10, 10)
        assert sample.seconds > 0
    resampled = Preprocess(spacing=(2.0, 2.0, 2.0))
    with prepared_sample(survey, resampled, tmp_path, silent) as sample:
        assert max(sample.shape) <= 6


# The command


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data set of two cases, `data` in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_msd(tmp_path / "data", ["a", "b"])


def test_a_folder_that_is_none_is_refused(tmp_path, monkeypatch, segnas):
    monkeypatch.chdir(tmp_path)
    for command in ("init", "search"):
        told = segnas.refused(command, "nowhere")
        assert "nowhere is missing; expected a folder with dataset.json" in told
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_dataset_json_is_refused(tmp_path, monkeypatch, segnas):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for command in ("init", "search"):
        told = segnas.refused(command, "empty")
        assert "dataset.json is missing; expected a folder with dataset.json" in told
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("search.trails=3", "--set: search.trails is not a key of `search`. Did you mean trials?"),
        ("search.trials=many", "--set: search.trials = 'many'"),
        ("train.augment.flip=[0]", "--set: train.augment.flip is not a key"),
        ("data.preprocess.spacin=native", "--set: data.preprocess.spacin is not a key"),
        ("search", "--set search: expected key=value"),
    ],
)
def test_a_setting_that_fits_no_plan_is_refused_before_planning(
    setting, what, tmp_path, monkeypatch, segnas, data
):
    monkeypatch.setattr("nas.analysis.plan.make_plan", lambda *_: pytest.fail("it plans"))
    assert what in segnas.refused("search", "data", "--set", "train.epochs=1", "--set", setting)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_settings_that_go_with_what_a_plan_says_are_left_to_it():
    known = {"name": "a", "data": {"source": "phantom"}, "train": {"patch": [32, 32, 32]}}
    check_settings(RunConfig, known, ["search.budget=hours", "search.early_stopping.grace=9"])
    with pytest.raises(UserError, match=r"search\.budgets is not a key"):
        check_settings(RunConfig, known, ["search.budget=hours", "search.budgets=hours"])


def test_what_killed_plans_left_is_removed_and_what_a_living_one_has_stays(tmp_path):
    for name in (".plan-older", ".plan-dead"):
        (tmp_path / name / "cache").mkdir(parents=True)
    (tmp_path / ".plan-dead.lock").touch()
    (tmp_path / ".plan-begun.lock").touch()  # killed before its folder was there
    with scratch_folder(tmp_path) as living:
        (living / "file").touch()
        with scratch_folder(tmp_path) as other:
            assert {path for path in tmp_path.iterdir() if path.is_dir()} == {living, other}
        assert (living / "file").exists()
    assert list(tmp_path.iterdir()) == []


def test_unreadable_cases_are_all_named(tmp_path, segnas, data):
    for file in (data / "imagesTr").iterdir():
        file.write_bytes(b"no NIfTI")
    err = segnas.refused("init", "data")
    assert "2 of 2 cases cannot be used" in err
    assert " a " in err
    assert " b " in err
    assert not (tmp_path / "data.yaml").exists()


def test_one_case_is_refused(tmp_path, monkeypatch, segnas):
    monkeypatch.chdir(tmp_path)
    write_msd(tmp_path / "data", ["a"])
    assert "1 case cannot be split into training and validation" in segnas.refused("init", "data")


def test_one_class_that_is_the_background_is_refused(segnas, data):
    descriptor = json.loads((data / "dataset.json").read_text())
    descriptor["labels"] = {"0": "background"}
    (data / "dataset.json").write_text(json.dumps(descriptor))
    assert "labels has no class beside the background" in segnas.refused("init", "data")


def test_a_file_that_is_there_is_not_written_over(tmp_path, segnas, data):
    (tmp_path / "data.yaml").write_text("mine")
    told = segnas.refused("init", "data")
    assert "data.yaml is there already; give another file (--to), or --force" in told
    assert (tmp_path / "data.yaml").read_text() == "mine"
    assert "no/such is no folder" in segnas.refused("init", "data", "--to", "no/such/folder.yaml")


@pytest.mark.parametrize("hours", ["0", "-1", "1:30", "nan", "inf"])
def test_hours_are_a_number_above_zero(hours, capsys):
    with pytest.raises(SystemExit):
        main(["init", "data", "--hours", hours])
    assert "expected hours, such as 1.5" in capsys.readouterr().err


def test_trials_that_end_nothing_are_told():
    values = {"name": "a", "data": {"source": "phantom"}, "train": {"patch": [24, 24, 24]}}
    hours = RunConfig.model_validate({**values, "search": {"budget": "hours", "hours": 1}})
    with pytest.warns(UserWarning, match="search.trials ends nothing where search.budget is hours"):
        _warn_of_trials(hours, ["train.epochs=2", "search.trials=5"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_trials(hours, ["train.epochs=2"])
        _warn_of_trials(RunConfig.model_validate(values), ["search.trials=5"])


def test_hours_of_a_yaml_file_stand_in_it(tmp_path, segnas):
    (tmp_path / "a.yaml").write_text("name: a\n")
    told = segnas.refused("search", tmp_path / "a.yaml", "--hours", "1")
    assert "in a YAML file it is search.hours" in told


def test_a_plan_of_other_data_is_not_gone_by(tmp_path, segnas, data):
    runs = tmp_path / "runs" / "data"
    runs.mkdir(parents=True)
    (runs / "plan.yaml").write_text("name: data\ndata: {source: msd, path: /elsewhere}\n")
    told = segnas.refused("search", "data")
    assert "is a plan for /elsewhere; give another folder for data (--dir)" in told
    (runs / "plan.yaml").write_text(f"name: data\ndata: {{source: msd, path: {data}}}\n")
    told = segnas.refused("search", "data", "--hours", "1")
    assert "is planned already; leave --hours out to go by it" in told


def test_the_same_command_goes_by_the_plan_that_it_made(tmp_path, data):
    folder = tmp_path / "runs" / "data"
    first = planned_file(data, folder, 0.1, [], Stages(Console(quiet=True)))
    before = first.read_text()
    assert planned_file(data, folder, 0.1, [], Stages(Console(quiet=True))) == first
    assert planned_file(data, folder, None, [], Stages(Console(quiet=True))) == first
    assert first.read_text() == before
    with pytest.raises(UserError, match="is planned already"):
        planned_file(data, folder, 0.2, [], Stages(Console(quiet=True)))


def test_a_search_that_was_not_planned_is_not_gone_on_with(tmp_path, segnas, data):
    (tmp_path / "runs" / "data").mkdir(parents=True)
    (tmp_path / "runs" / "data" / "journal.log").touch()
    assert "holds a search that has no plan.yaml" in segnas.refused("search", "data")


def test_resume_wants_a_search(segnas, data):
    assert "holds no search" in segnas.refused("search", "data", "--resume")
