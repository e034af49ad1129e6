"""Export folders of others: every file of one damaged, and what reads it."""

import json
import shutil

import pytest

from nas.export.export_folder import Export
from nas.export.model_card import model_card
from nas.export.retrain import Plan, check_plan
from tests.fuzz import damaged_file, everything, problems
from tests.nas.exports import write_export

RESULT = {
    **{"number": 0, "key": "0123456789", "architecture": {}, "state": "complete", "dice": 0.8},
    **{"dice_per_class": {"liver": 0.8}, "epochs": 2, "curve": [0.5, 0.8], "params": 1000},
    **{"macs": 10**6, "latency_ms": 3.0, "latency": None},
}


@pytest.fixture(scope="module")
def export(tmp_path_factory, phantom_folder, phantom):
    """With all that a folder may have: a result, a retraining and a compression."""
    folder = write_export(tmp_path_factory.mktemp("export") / "out", phantom_folder, phantom[1])
    record = json.loads((folder / "architecture.json").read_text())
    origin = {"search": "a", "search_id": "b", "versions": {"torch": "2"}}
    told = {**record, "result": {**RESULT, **record}, "origin": origin}
    (folder / "architecture.json").write_text(json.dumps(told))
    shutil.copy(folder / "trial.pt", folder / "retrained.pt")
    train = Export(folder).config.train.model_dump(mode="json")
    retrained = {"weights": "retrained.pt", "dice": 0.9, "dice_per_class": {"liver": 0.9}}
    (folder / "retrained.json").write_text(
        json.dumps({**retrained, "from": "scratch", "curve": [0.9], "train": train})
    )
    figures = {"original": {"dice": 0.9, "params": 9, "bytes": 9, "macs": 9}}
    compression = {
        **{"method": "prune", "keep": 0.5, "of": ["heads"], "figures": figures},
        "original": {"key": "0123456789", "weights": "ab", "saw_validation": False},
    }
    (folder / "compression.json").write_text(json.dumps(compression))
    return folder


def attempts(export, folder):
    files = sorted(path.name for path in export.iterdir() if path.is_file())

    def attempt(draw):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(export, folder)
        damaged_file(draw, folder / draw.choice(files))
        opened = Export(folder)
        what = draw.randrange(3)
        if what == 0:
            opened.segmenter()
        elif what == 1:
            check_plan(opened, Plan())
        else:
            model_card(folder)

    return attempt


def test_damaged_exports_are_refused_in_a_line_or_read(export, tmp_path):
    attempt = attempts(export, tmp_path / "out")
    assert problems(attempt, range(80)) == []
    assert everything(tmp_path, but=tmp_path / "out") == {}


@pytest.mark.slow
def test_a_thousand_more(export, tmp_path):
    assert problems(attempts(export, tmp_path / "out"), range(80, 1080)) == []
