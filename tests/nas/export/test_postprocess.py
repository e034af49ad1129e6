"""Postprocessing of an export: chosen, written, used by all that segment, and forgotten in time."""

import json
import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from nas.cli.main import main
from nas.cost.latency import LatencyConfig
from nas.export.choose_postprocess import _Part, _priors, choose_postprocess
from nas.export.deploy.deploy import Source, deploy
from nas.export.deploy.open_segmenter import load_segmenter, open_segmenter
from nas.export.deploy.parity_check import export_cases
from nas.export.deploy.record import Deployment
from nas.export.export_folder import Export
from nas.export.model_card import model_card
from nas.export.postprocess_record import PostprocessRecord
from nas.export.retrain import Plan, retrain
from tests.nas.exports import CLASSES, opened, write_export
from tests.processes import printed_by
from tests.slow import and_slow
from trainers.data.open_source import open_source
from trainers.ensemble import SegmenterEnsemble
from trainers.errors import UserError
from trainers.postprocess.choice import Choice, Quality
from trainers.postprocess.priors import look_at, priors_of
from trainers.volumes.steps import Place, Steps

QUICK = LatencyConfig(warmup=0, repeats=3, seconds=0.1)
STEPS = {
    "liver": Steps(components=1, closing_mm=2.0),
    "aorta": Steps(volume_mm3=4.0, places=(Place("liver", (-20.0,) * 3, (20.0,) * 3),)),
}


@pytest.fixture
def folder(tmp_path, phantom_folder, phantom):
    _, cases = phantom
    return write_export(tmp_path / "out", phantom_folder, cases)


def with_steps(folder):
    """As if these had been chosen."""
    same = Quality(0.5, 3.0)
    classes = {name: Choice(STEPS.get(name, Steps()), same, same) for name in CLASSES[1:]}
    record = PostprocessRecord(
        weights=Export(folder).fingerprint, cases=("a", "b"), classes=classes
    )
    record.write(folder)
    assert PostprocessRecord.read(folder) == record
    return folder


def test_the_command_chooses_on_the_validation_cases_and_tells(folder, phantom, segnas):
    _, cases = phantom
    printed = segnas.printed("postprocess", folder)
    record = PostprocessRecord.read(folder)
    assert record.cases == cases.validation
    assert list(record.classes) == list(CLASSES[1:])
    assert all(name in printed for name in CLASSES[1:]) and "HD95" in printed
    for one in record.classes.values():
        assert one.after.dice >= one.before.dice - 0.002
        assert one.after.hd95_mm <= one.before.hd95_mm
    assert ("## Postprocessing" in (folder / "README.md").read_text()) == bool(record.steps)


def test_cases_of_ones_own_may_be_chosen_on(folder, phantom_folder, phantom, segnas, capsys):
    images = ["--images", str(phantom_folder / "imagesTr")]
    assert "--images and --labels go together" in segnas.refused("postprocess", folder, *images)
    labels = ["--labels", str(phantom_folder / "labelsTr")]
    assert main(["postprocess", str(folder), *images, *labels, "--json"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["cases"]) == 6
    count = len(phantom[1].train)
    assert f"{count} of 6 are training cases of the network" in " ".join(said.err.split())
    record = PostprocessRecord.read(with_steps(folder))
    chosen_on_them = record.model_copy(update={"cases": phantom[1].train})
    chosen_on_them.write(folder)
    assert f"{count} cases, {count} of which the weights were trained on" in model_card(folder)
    record.write(folder)
    assert "2 cases that the weights were not trained on" in model_card(folder)


def test_predictions_have_the_steps_and_raw_ones_have_not(folder, phantom_folder):
    image = phantom_folder / "imagesTr" / "phantom_000.nii.gz"
    image = image if image.exists() else next((phantom_folder / "imagesTr").iterdir())
    before = load_segmenter(folder).segment(image)
    segmenter, told = open_segmenter(with_steps(folder))
    assert told.endswith("; postprocessing of liver, aorta")
    found = segmenter.segment(image)
    assert (found != before).any()
    raw, told = open_segmenter(folder, raw=True)
    assert "postprocessing" not in told
    np.testing.assert_array_equal(raw.segment(image), before)


def test_an_ensemble_does_what_all_of_its_networks_do(folder):
    one = Export(with_steps(folder)).segmenter()
    spec = one.spec.model_copy(update={"postprocess": {"liver": STEPS["liver"]}})
    both = SegmenterEnsemble.of([("a", one), ("b", replace(one, spec=spec))])
    assert both.postprocess == {"liver": STEPS["liver"]}
    assert both.raw.postprocess == {}


def test_steps_of_other_weights_are_not_used_and_said(folder, phantom_folder, phantom):
    with_steps(folder)
    other = write_export(folder.parent / "other", phantom_folder, phantom[1], trial_seed=1)
    (folder / "trial.pt").write_bytes((other / "trial.pt").read_bytes())
    with pytest.warns(UserWarning, match="chosen for other weights and is not used"):
        assert Export(folder).postprocess == {}


def test_a_damaged_record_is_refused(folder):
    (folder / "postprocess.json").write_text("{}")
    with pytest.raises(UserError, match=r"postprocess\.json is damaged; choose again"):
        open_segmenter(folder)


# Retraining


@pytest.mark.parametrize(
    ("plan", "settings"),
    [(Plan(), ()), (Plan(folds=2), ()), (Plan(), ("train.postprocess=false",))],
)
def test_a_retraining_chooses_for_the_new_weights(folder, phantom, plan, settings):
    _, cases = phantom
    with_steps(folder)
    done = retrain(opened(folder, "train.epochs=1", *settings), plan, lambda *_: None)
    if settings:
        assert done.postprocess is None and not (folder / "postprocess.json").exists()
        return
    validated = {*cases.train, *cases.validation} if plan.folds else set(cases.validation)
    assert set(done.postprocess.cases) == validated
    assert done.postprocess == PostprocessRecord.read(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Export(folder).postprocess == done.postprocess.steps


def test_no_fold_is_measured_with_what_its_own_labels_say(folder):
    export = Export(folder)
    known = open_source(export.config.data, folder).cases
    halves, rule = (known[:3], known[3:]), export.config.data.preprocess.affine
    priors, own = _priors(export, [_Part(export.segmenter(), half) for half in halves])
    parts = (known, halves[1], halves[0])
    expected = [
        priors_of([look_at(case.label, CLASSES, rule) for case in part], CLASSES) for part in parts
    ]
    assert [priors, *own] == expected and own[0] != own[1]


def test_a_split_that_changed_teaches_nothing_of_the_cases_it_is_measured_on(folder):
    export = Export(folder)
    known = open_source(export.config.data, folder).cases
    assert _priors(export, [_Part(export.segmenter(), known)]) == ({}, [{}])


def test_a_training_on_all_cases_leaves_none_to_choose_on(folder):
    with_steps(folder)
    settings = ("train.epochs=1", "train.all_cases=true")
    assert retrain(opened(folder, *settings), Plan(), lambda *_: None).postprocess is None
    assert not (folder / "postprocess.json").exists()
    with pytest.raises(UserError, match="none is left to choose on; give others: --images"):
        choose_postprocess(Export(folder))


def test_regions_are_refused_by_name(folder):
    text = (folder / "retrain.yaml").read_text()
    region = "{name: all, labels: [1, 2, 3], value: 1}"
    (folder / "retrain.yaml").write_text(text.replace("task:\n", f"task:\n  regions: [{region}]\n"))
    with pytest.raises(UserError, match="segments regions, which overlap"):
        choose_postprocess(Export(folder))


# Deployed folders


def deployed(folder, kind):
    export = Export(with_steps(folder))
    to = folder.parent / kind
    record = deploy(Source.of(export), export_cases(export, 2), kind, "fp32", to, QUICK)
    assert record.checks.pipeline == 1.0
    return to, record


@pytest.mark.parametrize("kind", and_slow(["bundle"], ["onnx"]))
def test_a_deployed_folder_does_what_the_export_does(folder, phantom_folder, kind):
    if kind == "onnx":
        pytest.importorskip("onnx")
    to, record = deployed(folder, kind)
    assert record.postprocess == STEPS == Deployment.read(to).postprocess
    ours, theirs = load_segmenter(folder), load_segmenter(to)
    raw = load_segmenter(folder, raw=True)
    changed = False
    for image in sorted((phantom_folder / "imagesTr").iterdir()):
        found = theirs.segment(image)
        np.testing.assert_array_equal(found, ours.segment(image))
        changed |= bool((found != raw.segment(image)).any())
    assert changed
    if kind == "bundle":
        assert "- liver: the largest component" in (to / "docs" / "README.md").read_text()
        metadata = json.loads((to / "configs" / "metadata.json").read_text())
        assert "scipy" in metadata["required_packages_version"]


WITHOUT_SEGNAS = """
import pathlib, runpy, sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("nas", "search_spaces", "trainers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
program = sys.argv.pop(1)
sys.path[0] = str(pathlib.Path(program).parent)  # as Python has it of a script
runpy.run_path(program, run_name="__main__")
"""


@pytest.mark.slow
def test_the_onnx_folder_segments_files_by_itself(folder, phantom_folder, tmp_path):
    pytest.importorskip("onnx")
    to, _ = deployed(folder, "onnx")
    program = (to / "segment.py", phantom_folder / "imagesTr", tmp_path / "made #2")
    assert "ERROR" not in printed_by(WITHOUT_SEGNAS, *program, cwd=tmp_path)
    with pytest.raises(AssertionError, match="error: nothing is no folder; expected"):
        printed_by(WITHOUT_SEGNAS, program[0], "nothing", tmp_path / "made #2", cwd=tmp_path)
    segmenter = load_segmenter(folder)
    images = sorted((phantom_folder / "imagesTr").iterdir())
    assert [path.name for path in sorted((tmp_path / "made #2").iterdir())] == [
        i.name for i in images
    ]
    for image in images:
        made = np.asarray(nib.load(tmp_path / "made #2" / image.name).dataobj)
        np.testing.assert_array_equal(made, segmenter.segment(image))
