"""The script that searches are compared with, and the table of both."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from monai.networks.nets import UNet

from benchmarks.dice_within_params import best_dice, ladder, main
from nas.config.yaml_file import write_config
from search_spaces.axes import axes_for
from search_spaces.fitting import takes
from tests.nas.small_run import config
from tests.nas.small_search import ended_search
from trainers.errors import UserError

FOLDER = Path(__file__).parents[2] / "benchmarks"
ENDS = [(0.70, 1_000), (0.80, 2_000), (0.90, 40_000)]


@pytest.fixture
def script(monkeypatch):
    """The benchmark, which finds the modules beside it where it runs."""
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("plain_script")


def run_script(*arguments):
    command = [sys.executable, str(FOLDER / "plain_script.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def scripted(folder, *networks):
    folder.mkdir()
    rows = [json.dumps({"params": params, "dice": dice}) for dice, params in networks]
    (folder / "trainings.jsonl").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.slow
def test_the_script_trains_as_the_search_would_and_keeps_every_training(script, tmp_path):
    data = {"source": "phantom", "cases": 4, "shape": [24, 24, 16], "spacing": [1, 1, 5]}
    train = {"patch": [24, 24, 8], "epochs": 1, "steps_per_epoch": 2, "batch": 1}
    write_config(config(data=data, train=train), tmp_path / "config.yaml")
    options = [tmp_path, "--minutes", 0.01, "--to", tmp_path / "script"]
    done = run_script(*options)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "script" / "trainings.jsonl").read_text().splitlines()
    assert len(lines) == len(done.stdout.splitlines()) == 2  # both jobs, and none after 0.6 s
    for row in map(json.loads, lines):
        assert 0 <= row["dice"] <= 1 and row["macs"] > 0 and row["seconds"] > 0
        assert row["started"] < 0.6
        assert row["params"] == params(row["drawn"])
    with pytest.raises(FileExistsError, match=r"trainings\.jsonl"):
        script.main(list(map(str, options)))


def params(drawn):
    """Of the network as MONAI builds it, for 5 classes; where strides are does not matter to it."""
    channels = [round(drawn["width"] * drawn["growth"] ** n) for n in range(drawn["levels"])]
    kernel = (3, 3, 1) if drawn["flat"] else 3
    units, norm = drawn["residual_units"], drawn["norm"]
    sizes = {"kernel_size": kernel, "up_kernel_size": kernel, "num_res_units": units}
    network = UNet(3, 1, 5, channels, [2] * (len(channels) - 1), norm=norm, **sizes)
    return sum(parameter.numel() for parameter in network.parameters())


def test_a_flat_network_neither_reaches_nor_halves_along_the_axis_of_thick_slices(script):
    drawn = {"width": 4, "growth": 2.0, "levels": 4, "residual_units": 2, "norm": "batch"}
    patch = 96, 96, 10
    axes = axes_for((1.5, 1.5, 10), patch)
    deep, flat = (
        script.propose(optuna.trial.FixedTrial({**drawn, "flat": flat}), axes, patch)
        for flat in (False, True)
    )
    assert deep.channels == flat.channels == (4, 8, 16, 32)
    assert (deep.strides(), deep.kernel) == ((8, 8, 2), (3, 3, 3))
    assert (flat.strides(), flat.kernel) == ((8, 8, 1), (3, 3, 1))


@pytest.mark.parametrize(("patch", "levels"), [((40, 56, 40), {3, 4}), ((64, 64, 48), {3, 4, 5})])
def test_every_network_that_is_drawn_takes_the_patch(script, patch, levels):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    points = [script.propose(study.ask(), axes_for(None, patch), patch) for _ in range(30)]
    assert all(takes(point, patch) for point in points)
    assert {len(point.channels) for point in points} == levels


def test_a_patch_that_cannot_be_halved_is_refused(script):
    with pytest.raises(UserError, match=r"\[35, 51, 35\] cannot be halved 2 times"):
        script.propose(optuna.trial.FixedTrial({}), axes_for(None, (35, 51, 35)), (35, 51, 35))


def test_the_best_of_each_run_within_a_limit_stands_in_a_row(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    ended_search(tmp_path / "a", ENDS)
    ended_search(tmp_path / "b", [(0.72, 1_000), (None, 500)])
    script = scripted(tmp_path / "c", (0.65, 1_500), (0.86, 20_000), (0.85, 30_000))
    folders = [str(tmp_path / "a"), str(tmp_path / "b"), str(script)]
    main([*folders, "--limits", "1000", "2000", "50000"])
    *_, first, second, third, _ = capsys.readouterr().out.splitlines()
    assert cells(first) == ["1,000", "0.7000", "0.7200", "0.7100", "-", "-", "-"]
    assert cells(second)[1:] == ["0.8000", "0.7200", "0.7600", "0.6500", "0.6500", "+0.1100"]
    assert cells(third)[1:] == ["0.9000", "0.7200", "0.8100", "0.8600", "0.8600", "-0.0500"]


def cells(line):
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_limits_climb_from_the_smallest_to_the_largest_network_of_the_front():
    networks = [(100, 0.5), (6_400, 0.9), (9_000, 0.8), (400, 0.4)]
    assert ladder(networks) == [100, 200, 400, 800, 1_600, 3_200, 6_400]
    assert best_dice(networks, 9_000) == 0.9
