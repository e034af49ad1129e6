"""`segnas explain` from an exported folder and cases to a page."""

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest

from nas.analysis.explain.cases import find_cases
from nas.cli.main import main
from nas.export.export_folder import Export
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from search_spaces.registry import find_preset
from tests.nas.exports import write_export
from trainers.data.splits import Cases

POINT = Hybrid(
    width=4,
    convs=1,
    stem_stride=1,
    anchors=4,
    token_stages=1,
    tokens=(TokenStage(layers_count=3, layers=(Layer(),) * 3, prune=0.5),),
)
TRAINED, NEW = "phantom_001", [f"phantom_00{number}" for number in range(2, 7)]


@pytest.fixture(scope="module")
def export(tmp_path_factory, phantom_folder):
    """A network that was trained on the first phantom."""
    folder, cases = tmp_path_factory.mktemp("explain"), Cases((TRAINED,), tuple(NEW))
    return write_export(folder / "out", phantom_folder, cases, point=POINT)


def test_the_command_draws_every_mechanism_and_says_which_earns_its_cost(
    export, phantom_folder, tmp_path, capsys
):
    arguments = ["explain", str(export), "--data", str(phantom_folder), "--ablate"]
    assert main([*arguments, "--cases", "2", "--to", str(tmp_path / "e"), "--json"]) == 0
    printed, told = capsys.readouterr()
    record = json.loads((tmp_path / "e" / "explain.json").read_text())
    assert json.loads(printed) == record
    assert "left out: 1 case that it was trained on" in told
    assert {file.name for file in (tmp_path / "e").iterdir()} == {
        "explain.html", "explain.json", "anchors.png", "attention.png", "token-pruning.png"
    }  # fmt: skip
    assert record["cases"] == [NEW[0], NEW[-1]]
    kept = [one for one in record["shares"] if one["name"] == "kept"]
    assert [one["mean"] for one in kept] == [0.5]
    assert [one["points"] for one in record["points"]] == [4]

    ablation = record["ablation"]
    assert ablation["cases"] == NEW
    replaced = {tuple(one["what"].values()): one for one in ablation["replaced"]}
    assert list(replaced) == [
        ("attention", "to all alike"),
        ("token pruning", "random scores"),
        ("token pruning", "nothing pruned"),
        ("anchors", "mean over cases"),
    ]
    for one in replaced.values():
        changes = [b - a for a, b in zip(ablation["dice"], one["dice_by_case"], strict=True)]
        assert one["difference"]["mean"] == pytest.approx(sum(changes) / 5, abs=1e-9)
        assert (one["difference"]["patients"], one["difference"]["unit"]) == (5, "case")
    nothing = replaced["token pruning", "nothing pruned"]
    assert nothing["macs"] > nothing["macs_before"]
    assert nothing["verdict"].startswith("saves")

    page = (tmp_path / "e" / "explain.html").read_text()
    assert page.count('<img class="picture" src="data:image/png;base64,') == 3
    assert "<script" not in page
    assert not re.search(r"(src|href)=.?http|url\(.?http", page)
    assert "Which mechanism earns its cost" in page


def test_images_without_labels_are_drawn_but_nothing_is_evaluated(
    export, phantom_folder, tmp_path, segnas
):
    images = tmp_path / "images"
    images.mkdir()
    shutil.copy(phantom_folder / "imagesTr" / f"{NEW[0]}.nii.gz", images)
    arguments = ["explain", str(export), "--data", str(images), "--to", str(tmp_path / "e")]
    assert "token-pruning.png" in segnas.printed(*arguments)
    told = segnas.refused(*arguments, "--ablate")
    assert "has no labels; name their folder with --labels" in told
    labels = ["--labels", str(phantom_folder / "labelsTr")]
    assert main([*arguments, *labels, "--ablate", "--cases", "1"]) == 0
    ablation = json.loads((tmp_path / "e" / "explain.json").read_text())["ablation"]
    assert {one["verdict"] for one in ablation["replaced"]} == {"a single case tells nothing"}


def test_cases_that_the_network_learnt_are_left_out(phantom_folder, tmp_path):
    cases = Cases((TRAINED,), ("phantom_002", "phantom_003"), ("phantom_004",))
    out = write_export(tmp_path / "out", phantom_folder, cases, all_cases=True)

    def names():
        found = find_cases(Export(out), phantom_folder, None, tmp_path)
        return [case.name[-1] for case in found.cases]

    assert names() == list("23456")  # of the trial, which never has the validation cases
    (out / "retrained.pt").touch()
    assert names() == list("456")
    folds = [{"validation": ["phantom_003"]}, {"validation": [TRAINED, "phantom_002"]}]
    (out / "folds").mkdir()
    (out / "folds" / "folds.json").write_text(json.dumps({"folds": folds}))
    (out / "retrained.json").write_text(json.dumps({"weights": "folds"}))
    assert names() == list("3456")

    everything = Cases(tuple(f"phantom_00{n}" for n in range(1, 6)), ("phantom_006",))
    out = write_export(tmp_path / "all", phantom_folder, everything, all_cases=True)
    (out / "retrained.pt").touch()
    found = find_cases(Export(out), phantom_folder, None, tmp_path)
    assert len(found.cases) == 6
    assert "trained on all of these cases" in found.note()


def test_a_network_without_a_mechanism_is_told_which_have_some(phantom_folder, tmp_path, segnas):
    out = write_export(
        tmp_path / "out", phantom_folder, Cases((TRAINED,), tuple(NEW)), point=find_preset("unet-s")
    )
    error = segnas.refused("explain", out, "--data", phantom_folder)
    assert "this network has no mechanism to explain" in error
    assert "hybrid (such as hybrid-tokens)" in error
    assert not (out / "explain").exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--data": "nowhere"}, "nowhere is missing"),
        ({"--data": "net"}, "net is an exported network; expected cases to explain"),
        ({"--data": "net/split.json"}, "lists 'a' and others by name alone, as the split of a"),
        ({"--data": "empty"}, "empty has no images; expected cases to explain"),
        ({"": "empty"}, "empty is no export"),
        ({"--to": "file"}, "--to file is a file"),
    ],
)
def test_wrong_inputs_are_told(
    export, phantom_folder, tmp_path, monkeypatch, segnas, change, problem
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "retrain.yaml").write_text("name: net")
    (tmp_path / "net" / "split.json").write_text('{"training": ["a", "b"], "validation": ["c"]}')
    options = {"": str(export), "--data": str(phantom_folder), "--to": "e"} | change
    told = segnas.refused("explain", *(word for pair in options.items() for word in pair if word))
    assert problem in told
    assert not (tmp_path / "e").exists()


def test_classes_of_dicom_are_numbered_as_the_network_has_them(tmp_path, phantom_folder, phantom):
    """By themselves their names are in alphabetical order, and need not be all that it knows."""
    from tests.trainers.data.test_dicom_source import labels_of, write_case, write_seg

    names = ("background", "tumour", "liver")
    out = write_export(tmp_path / "out", phantom_folder, phantom[1], classes=names)
    data = tmp_path / "dicom"
    write_case(data)
    write_seg(data, labels_of(), names)
    [case] = find_cases(Export(out), data, None, tmp_path / "work").cases
    found = np.asarray(nib.load(case.label).dataobj)
    assert [np.sum(found == value) for value in (1, 2)] == [
        np.sum(labels_of() == value) for value in (1, 2)
    ]
    (tmp_path / "table").mkdir()
    table = tmp_path / "table" / "cases.csv"
    table.write_text(f"image,label\n{case.image},{case.label}\n")
    assert len(find_cases(Export(out), table, None, tmp_path / "work").cases) == 1
