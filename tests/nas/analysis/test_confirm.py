import json
import math

import pytest

from nas.analysis.confirm import Confirmed, Repeat, front_chances, nearest_to_front
from nas.analysis.confirm.candidates_near_front import dice_gaps
from nas.analysis.confirm.repeats import read_outcome
from nas.cli.main import main
from nas.search.run import run_search
from tests.nas.results import flat_result
from tests.nas.small_run import config as small_config
from trainers.errors import UserError

OBJECTIVES = ("dice", "params")


def result(key, dice, params, **changes):
    values = {"number": 0, "architecture": {}, "state": "complete"}
    return flat_result(key=key, dice=dice, params=params, **{**values, **changes})


FRONT = [result("small", 0.5, 100), result("large", 0.9, 900)]
NEAR = [result("near", 0.88, 1000), result("far", 0.3, 500)]
STOPPED = result("stopped", None, 50, state="stopped")


def test_the_front_comes_first_then_who_lacks_least_dice():
    found = [r.key for r in nearest_to_front([*NEAR, STOPPED, *FRONT], OBJECTIVES, 9)]
    assert set(found[:2]) == {"small", "large"}
    assert found[2:] == ["near", "far"]


def test_the_gap_is_to_the_best_of_those_that_cost_no_more():
    small, large, near, far = dice_gaps([*FRONT, *NEAR], OBJECTIVES)
    assert near == pytest.approx(0.02)
    assert far == pytest.approx(0.2)
    assert small < 0
    assert large < 0


def test_a_damaged_outcome_is_told(tmp_path):
    repeat = Repeat("abc", {}, seed=1)
    assert read_outcome(repeat, tmp_path) is None
    repeat.file(tmp_path).parent.mkdir()
    repeat.file(tmp_path).write_text('{"dice": 0.5}')
    with pytest.raises(UserError, match=r"abc-seed1\.json is damaged .* delete it"):
        read_outcome(repeat, tmp_path)


def test_who_is_far_better_is_sure_and_who_is_far_worse_is_out():
    repeats = {"large": [0.90, 0.91, 0.92], "near": [0.50, 0.51, 0.52]}
    found = front_chances(repeats, [*FRONT, *NEAR], OBJECTIVES)
    assert found["large"] > 0.999
    assert found["near"] < 0.001


def test_two_that_cost_the_same_and_did_the_same_have_even_chances():
    twins = [result("a", 0.8, 100), result("b", 0.8, 100)]
    found = front_chances({"a": [0.80, 0.82], "b": [0.80, 0.82]}, twins, OBJECTIVES)
    assert found["a"] == pytest.approx(0.5, abs=0.02)
    assert found["a"] + found["b"] == pytest.approx(1)


def test_the_chance_is_that_of_students_t():
    """Of two means of n = 3 each that differ by one standard error, pooled over 4 degrees."""
    from scipy.stats import t

    a, b = [0.70, 0.71, 0.72], [0.71, 0.72, 0.73]
    error = math.sqrt(0.01**2 * 2 / 3)  # s is 0.01 in both
    found = front_chances({"a": a, "b": b}, [result("a", 0, 9), result("b", 0, 9)], OBJECTIVES)
    assert found["a"] == pytest.approx(t.cdf(-0.01 / error, 4), abs=0.01)


def test_the_dice_of_the_search_itself_does_not_count_for_who_was_repeated():
    lucky, honest = result("lucky", 0.99, 100), result("honest", 0.8, 100)
    repeats = {"lucky": [0.60, 0.61], "honest": [0.80, 0.81]}
    assert front_chances(repeats, [lucky, honest], OBJECTIVES)["lucky"] < 0.05


def test_who_was_not_repeated_takes_part_with_the_dice_of_the_search():
    found = front_chances(
        {"a": [0.70, 0.71, 0.72]}, [result("a", 0.9, 9), result("b", 0.9, 9)], OBJECTIVES
    )
    assert found["a"] < 0.01


def test_nobody_that_costs_more_takes_a_place():
    dear = result("dear", 0.99, 101)
    assert front_chances({"a": [0.1, 0.2]}, [result("a", 0.5, 100), dear], OBJECTIVES)["a"] == 1


def test_one_repeat_tells_no_spread():
    with pytest.raises(ValueError, match="two repeats"):
        front_chances({"a": [0.5]}, [result("a", 0.5, 1)], OBJECTIVES)


def test_a_deviation_is_that_of_a_sample():
    one = Confirmed(FRONT[0], True, (0.4, 0.6), 0, 0.5)
    assert (one.mean, one.deviation) == (pytest.approx(0.5), pytest.approx(math.sqrt(0.02)))


def test_the_json_has_every_cost_that_is_known():
    told = Confirmed(result("a", 0.5, 100, macs=7), True, (0.4, 0.6), 0, 0.5).to_json()
    assert (told["params"], told["macs"], told["memory"]) == (100, 7, None)
    assert json.loads(json.dumps(told))["dice_of_repeats"] == [0.4, 0.6]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--seeds", "1"], "one tells no spread"), (["--top", "0"], "expected 1 or more")],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path, capsys, arguments, told):
    with pytest.raises(SystemExit):
        main(["confirm", str(tmp_path), *arguments])
    assert told in capsys.readouterr().err


def test_a_folder_that_is_no_search_is_refused(tmp_path, capsys):
    assert main(["confirm", str(tmp_path)]) == 2
    assert "is no search" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_search_is_confirmed_by_training_again_and_only_once(tmp_path, capsys):
    from rich.console import Console

    folder = tmp_path / "run"
    run_search(small_config(search={"trials": 3}, objectives=("dice", "params")), folder, Console())
    capsys.readouterr()
    assert main(["confirm", str(folder), "--top", "2", "--seeds", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["confirmed"]
    assert len(told) == 2
    for one in told:
        outcomes = sorted((folder / "confirm").glob(f"{one['key']}-seed*.json"))
        ended = [json.loads(path.read_text()) for path in outcomes]
        assert sorted(end["dice"] for end in ended) == sorted(one["dice_of_repeats"])
        assert {end["seed"] for end in ended} == {1, 2}
    times = {path: path.stat().st_mtime_ns for path in (folder / "confirm").glob("*-seed*")}
    assert main(["confirm", str(folder), "--top", "2", "--seeds", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["confirmed"] == told
    assert {path: path.stat().st_mtime_ns for path in times} == times
