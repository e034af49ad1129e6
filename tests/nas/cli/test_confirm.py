import json

import pytest
from rich.console import Console

from nas.cli.confirm import confirmed, confirmed_table
from nas.cli.main import main
from nas.report.read_search import read_search
from nas.search.run import run_search
from nas.study.candidate import Candidate
from search_spaces.registry import find_preset
from tests.nas.parts import open_study
from tests.nas.results import flat_result, search_record
from tests.nas.small_run import config as small_config

OBJECTIVES = ("dice", "params")


def result(key, trainings, params, **changes):
    dice = sum(trainings) / len(trainings)
    told = {"dice": dice, "trainings": trainings if len(trainings) > 1 else ()}
    return flat_result(key=key, params=params, **{**told, **changes})


def record(*results):
    return search_record(results)


def test_the_mean_is_of_the_repeats_which_did_not_choose_the_network():
    lucky, once = result("lucky", (0.9, 0.4, 0.6), 100, macs=7), result("once", (0.7,), 200)
    (told,) = confirmed(record(lucky, once))
    assert (told["dice_of_search"], told["dice_of_repeats"]) == (0.9, [0.4, 0.6])
    assert told["mean"] == pytest.approx(0.5)
    assert told["deviation"] == pytest.approx(0.02**0.5)  # that of a sample
    assert (told["params"], told["macs"], told["memory"]) == (100, 7, None)
    assert json.loads(json.dumps(told)) == told


def test_the_surest_comes_first_and_one_repeat_has_no_deviation():
    sure, out = result("sure", (0.90, 0.91), 100), result("out", (0.5, 0.51), 200)
    told = confirmed(record(out, sure))
    assert [one["key"] for one in told] == ["sure", "out"]
    assert (told[0]["on_front"], told[1]["on_front"], told[0]["deviation"]) == (True, False, None)
    console = Console(width=120, record=True, quiet=True)
    assert confirmed_table(told).row_count == 2
    console.print(confirmed_table(told))


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--top", "0"]])
def test_numbers_that_make_no_sense_are_refused(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit):
        main(["confirm", str(tmp_path), *arguments])
    assert "expected 1 or more" in capsys.readouterr().err


def test_a_folder_that_is_no_search_is_refused(tmp_path, segnas):
    assert "is no search" in " ".join(segnas.refused("confirm", tmp_path).split())


@pytest.mark.slow
def test_a_search_is_confirmed_by_training_again_and_only_once(tmp_path, segnas):
    folder = tmp_path / "run"
    run = small_config(search={"trials": 3, "confirm": 0.0}, objectives=("dice", "params"))
    run_search(run, folder, Console(quiet=True))
    owed = Candidate(0, find_preset("unet-s"), baseline="unet-s")  # as a killed search leaves it
    open_study(folder, run, lambda architecture: {}).begin_baseline(owed)
    told = segnas.json("confirm", folder, "--top", "2", "--seeds", "2")["confirmed"]
    assert len(told) == 2
    for one in told:
        outcomes = sorted((folder / "confirm").glob(f"{one['key']}-seed*.json"))
        ended = [json.loads(path.read_text()) for path in outcomes]
        assert sorted(end["dice"] for end in ended) == sorted(one["dice_of_repeats"])
        assert {end["seed"] for end in ended} == {1, 2}
    assert not list((folder / "checkpoints").glob("*-seed*"))
    front = json.loads((folder / "front.json").read_text())["members"]
    known = {one["key"]: one for one in told}
    for member in front:
        if member["key"] in known:
            again = known[member["key"]]
            every = [again["dice_of_search"], *again["dice_of_repeats"]]
            assert member["trainings"] == every
            assert member["dice"] == pytest.approx(sum(every) / 3)
            assert member["chance"] == again["chance"]
    times = {path: path.stat().st_mtime_ns for path in (folder / "confirm").glob("*-seed*")}
    assert segnas.json("confirm", folder, "--top", "2", "--seeds", "2")["confirmed"] == told
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(read_search(folder)[1].results) == 3  # nothing was proposed
    assert not (folder / "checkpoints" / f"{owed.key}.pt").exists()
