"""`segnas redundancy` from an exported folder and images to files."""

import json
import math
import re
import shutil

import nibabel as nib
import numpy as np
import pytest

from nas.analysis.redundancy.analysis import analyse
from nas.analysis.redundancy.figure import redundancy_panels
from nas.analysis.redundancy.redundancy_report import find_images, redundancy_report
from nas.analysis.redundancy.write_redundancy import write_report
from nas.cli.main import main
from nas.config.architecture_file import load_architecture_file
from nas.cost.count import cost_of
from nas.export.export_folder import Export
from nas.export.write_export import write_export
from nas.search.components import export_settings
from search_spaces.hybrid import Hybrid
from tests.nas.analysis.test_redundancy import POINT
from tests.nas.exports import write_search
from tests.nas.parts import warm_starts
from tests.nas.results import flat_result
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.inference import Mirrored
from trainers.segmenter import Segmenter


def write_one_export(to, point, phantom_folder, search):
    config, *_ = write_search(search, phantom_folder, point, epochs=1)
    fields = {"number": 0, "key": point.key, "architecture": point.to_json()}
    settings = export_settings(config, Task.read(search))
    write_export(search, flat_result(**fields, dice=0.5), settings, to)
    return config


@pytest.fixture(scope="module")
def export(tmp_path_factory, phantom_folder):
    """An exported network of two token stages, and the configuration of its search."""
    folder = tmp_path_factory.mktemp("redundancy")
    config = write_one_export(folder / "out", POINT, phantom_folder, folder / "search")
    return folder / "out", config


@pytest.fixture(scope="module")
def images(tmp_path_factory, phantom_folder):
    """Two of the phantoms, without labels."""
    folder = tmp_path_factory.mktemp("images")
    for image in sorted((phantom_folder / "imagesTr").iterdir())[:2]:
        shutil.copy(image, folder)
    return folder


def test_the_command_writes_figure_table_and_a_proposal_that_search_takes(
    export, images, tmp_path, segnas, monkeypatch
):
    out, config = export
    monkeypatch.chdir(tmp_path)
    printed = segnas.printed("redundancy", out, "--data", images, "--to", "r", "--prune", "3")
    to = tmp_path / "r"
    assert {f.name for f in to.iterdir()} == {
        "redundancy.json",
        "redundancy.html",
        "redundancy.png",
        "proposal.json",
    }
    assert (to / "redundancy.png").read_bytes().startswith(b"\x89PNG")
    page = (to / "redundancy.html").read_text()
    assert page.count("<svg") == 6
    assert "<script" not in page
    assert not re.search(r"(src|href)=.?http|url\(.?http", page)
    assert "linear CKA</text>" in page  # text is text

    record = json.loads((to / "redundancy.json").read_text())
    assert record["volumes"] == [image.name for image in sorted(images.iterdir())]
    assert [block["name"] for block in record["blocks"]] == ["tokens.1.layers", "tokens.2.layers"]
    assert len(record["layers"]) == 4
    assert len(record["sublayers"]) == 7
    for part in record["sublayers"]:
        for scores in (part["with_norm"], part["without_norm"]):
            assert 0 < scores["angular"] <= 1
            assert 0 <= scores["cka"] <= 1.000001

    by_redundancy = sorted(record["sublayers"], key=lambda s: -s["redundancy"])
    assert record["proposal"]["closed"] == [f"{s['layer']}.{s['part']}" for s in by_redundancy[:3]]
    proposed = load_architecture_file(to / "proposal.json")
    assert proposed.key == record["proposal"]["key"]
    for name, point in (("before", POINT), ("after", proposed)):
        cost = cost_of(point, 1, 4, (16, 16, 16))
        assert record["proposal"]["params"][name] == cost.params
        assert record["proposal"]["macs"][name] == cost.macs
    assert record["proposal"]["params"]["after"] < record["proposal"]["params"]["before"]

    setting = """search.warm_start=["r/proposal.json"]"""
    assert f"--set '{setting}'" in printed
    warm = config.search.model_copy(update={"warm_start": ("r/proposal.json",)})
    (start,) = warm_starts(config.model_copy(update={"search": warm}), 1, 4)
    assert (start.architecture, start.changes) == (proposed, ())


def test_json_is_all_that_standard_output_gets(export, images, tmp_path, segnas):
    arguments = ["redundancy", str(export[0]), "--data", str(images), "--output", "branch"]
    record = segnas.json(*arguments, "--to", tmp_path)
    assert record == json.loads((tmp_path / "redundancy.json").read_text())
    assert record["output"] == "branch"


def test_what_is_drawn_is_what_was_measured(export, images):
    report = redundancy_report(Export(export[0]), images, prune=1)
    (part,) = report.closed
    figures = redundancy_panels(report.redundancy, report.closed)
    blocks, with_norm, without, _, cka, _ = (figure.axes[0] for figure in figures)

    def ticks(ax):
        return [label.get_text() for label in ax.get_xticklabels()]

    assert ticks(blocks) == ["B1", "B2"]
    assert ticks(with_norm) == ["L1\nB1", "L2", "L1\nB2", "L2"]
    labels = [line.get_label() for line in with_norm.get_lines()]
    ring = f"{'MLP' if part.part == 'mlp' else 'token mixer'}, proposed to go"
    assert [label for label in labels if label != ring] == ["$S_{LM}$ token mixer", "$S_{LT}$ MLP"]
    lines = [line.get_label() for line in without.get_lines()]
    assert lines == ["$S_{M}$ token mixer", "$S_{T}$ MLP"]
    drawn = {line.get_label(): list(line.get_ydata()) for line in cka.get_lines()}
    assert math.isnan(drawn["$S_{LM}$ token mixer"][-1])  # its gate is closed: "mlp"
    layers = [layer.name for layer in report.redundancy.layers]
    for sublayer in report.redundancy.sublayers:
        line = drawn["$S_{LT}$ MLP" if sublayer.part == "mlp" else "$S_{LM}$ token mixer"]
        assert line[layers.index(sublayer.layer)] == sublayer.with_norm.cka
    assert drawn[ring] == [part.with_norm.cka]
    rings = with_norm.get_lines()[labels.index(ring)]
    assert list(rings.get_xdata()) == [layers.index(part.layer)]


def test_every_window_counts_once_though_the_network_is_mirrored(export, images, tmp_path):
    image = images / sorted(f.name for f in images.iterdir())[0]
    segmenter = Export(export[0]).segmenter()
    mirrored = Segmenter(**{**vars(segmenter), "network": Mirrored(segmenter.network, [0, 1])})
    assert analyse(mirrored, [image]) == analyse(segmenter, [image])


def test_a_data_sets_folder_means_its_images(phantom_folder):
    found = list(find_images(phantom_folder).values())
    assert found == sorted((phantom_folder / "imagesTr").iterdir())


def test_training_cases_among_the_volumes_are_told(export, images, tmp_path):
    out = shutil.copytree(export[0], tmp_path / "out")
    first, second = sorted(image.name.partition(".")[0] for image in images.iterdir())
    for learnt, told in (([first], "1 of 2 volumes is a training case of the network"), ([], "")):
        split = {"training": ["another", *learnt], "validation": [second]}
        (out / "split.json").write_text(json.dumps(split))
        report = redundancy_report(Export(out), images, prune=1)
        assert report.to_json()["learnt"] == len(learnt)
        assert report.seen().startswith(told) and bool(report.seen()) == bool(told)
        page = next(file for file in write_report(report, tmp_path / "r") if file.suffix == ".html")
        assert ("training case" in page.read_text()) == bool(told)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--data": "nowhere"}, r"nowhere is missing; expected a folder of NIfTI"),
        ({"--data": "empty"}, r"empty has no \.nii"),
        ({"--data": "two"}, r"has 2 channels; the network expects 1"),
        ({"--prune": "8"}, r"--prune 8: expected 1 to 7"),
        ({"": "empty"}, r"empty is no export"),
        ({"--to": "file"}, r"--to file is a file"),
    ],
)
def test_wrong_inputs_are_told(export, images, tmp_path, monkeypatch, capsys, change, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "two").mkdir()
    nib.save(nib.Nifti1Image(np.zeros((16, 16, 16, 2)), np.eye(4)), tmp_path / "two" / "a.nii.gz")
    options = {"": str(export[0]), "--data": str(images), "--to": "r"} | change
    arguments = [word for pair in options.items() for word in pair if word]
    assert main(["redundancy", *arguments]) == 2
    assert not (tmp_path / "r").exists()
    error = capsys.readouterr().err
    assert re.search(problem, error)


def test_a_network_without_layers_is_told_which_spaces_have_some(phantom_folder, images, tmp_path):
    plain = Hybrid(width=4, convs=1)
    write_one_export(tmp_path / "out", plain, phantom_folder, tmp_path / "search")
    with pytest.raises(UserError, match=r"no transformer layers.*hybrid \(such as hybrid-tokens\)"):
        redundancy_report(Export(tmp_path / "out"), images)
