"""Deployed folders of others, in every format: their record and their network damaged."""

import shutil

import pytest

from nas.export.deploy.deploy import deploy
from nas.export.deploy.open_segmenter import open_segmenter
from nas.export.deploy.parity_check import folder_cases
from tests.fuzz import damaged_file, everything, problems
from tests.nas.export.test_deploy import QUICK, TASK, source

QUICKLY_MADE = ("onnx", "torchscript")


@pytest.fixture(scope="module")
def make(tmp_path_factory, phantom_folder):
    """Writes a folder of each of these formats, once, into the folder that it returns."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("deployed")
    cases = folder_cases(phantom_folder / "imagesTr", phantom_folder / "labelsTr", 1, TASK)

    def write(*kinds):
        for kind in kinds:
            if not (folder / kind).exists():
                deploy(source(), cases, kind, "fp32", folder / kind, QUICK)
        return folder

    return write


def attempts(deployed, folder):
    kinds = sorted(path.name for path in deployed.iterdir())

    def attempt(draw):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(deployed / draw.choice(kinds), folder)
        network = next(path for path in folder.iterdir() if path.stem == "network")
        damaged_file(draw, draw.choice([folder / "deployment.json", network, network]))
        open_segmenter(folder)

    return attempt


def test_damaged_folders_are_refused_in_a_line_or_opened(make, tmp_path):
    attempt = attempts(make(*QUICKLY_MADE), tmp_path / "d")
    assert problems(attempt, range(60)) == []
    assert everything(tmp_path, but=tmp_path / "d") == {}


@pytest.mark.slow
def test_a_thousand_more(make, tmp_path):
    attempt = attempts(make(*QUICKLY_MADE, "torch-export"), tmp_path / "d")
    assert problems(attempt, range(60, 1060)) == []
