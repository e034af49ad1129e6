import json
from pathlib import Path

import pytest

from nas.engine.watchdog import Watchdog
from nas.study.repeats import Repeat, read_repeats, trained_again
from tests.nas.results import flat_result
from trainers.errors import UserError


def repeat(seed=1, dice=0.5, **changes):
    return Repeat(key="abc", architecture={}, seed=seed, dice=dice, curve=(0.1, 0.5), **changes)


FIRST = flat_result(key="abc", dice=0.8, params=9, dice_per_class={"a": 0.8, "b": None})


def test_what_is_written_is_read(tmp_path):
    told = [repeat(1, dice_per_class={"a": 0.5}), repeat(2, None, reason="diverged: nan")]
    for one in reversed(told):
        one.write(tmp_path)
    assert read_repeats(tmp_path) == told


def test_files_of_version_0_1_are_read(tmp_path):
    (tmp_path / "confirm").mkdir()
    old = {"key": "abc", "architecture": {}, "seed": 1, "dice": 0.5, "curve": [0.5], "reason": None}
    (tmp_path / "confirm" / "abc-seed1.json").write_text(json.dumps(old))
    (tmp_path / "confirm" / "confirm.json").write_text("{}")  # its summary
    assert [one.dice for one in read_repeats(tmp_path)] == [0.5]


def test_a_damaged_file_is_told(tmp_path):
    assert read_repeats(tmp_path) == []
    repeat().write(tmp_path)
    (tmp_path / "confirm" / "abc-seed1.json").write_text('{"dice": 0.5}')
    with pytest.raises(UserError, match=r"abc-seed1\.json is damaged .* delete it"):
        read_repeats(tmp_path)


def test_dice_is_the_mean_of_all_trainings_a_failed_one_counts_as_nothing():
    diverged = repeat(2, None, reason="diverged: the loss is nan in epoch 2")
    found = trained_again(FIRST, [repeat(1, 0.7, dice_per_class={"a": 0.6}), diverged])
    assert found.trainings == (0.8, 0.7, 0.0)
    assert found.dice == pytest.approx(0.5)
    assert found.dice_per_class == {"a": pytest.approx(0.7), "b": None}


@pytest.mark.parametrize(
    "reason",
    [
        "worker lost 3 times: KeyError: 'a'",
        Watchdog(Path("checkpoints/abc-seed1.hang.txt"), 1800.0).reason,
    ],
)
def test_a_training_that_was_lost_is_no_training(reason):
    lost = repeat(2, None, reason=reason)
    assert trained_again(FIRST, [lost]) is FIRST
    assert trained_again(FIRST, [repeat(1, 0.7), lost]) == trained_again(FIRST, [repeat(1, 0.7)])


def test_who_was_not_repeated_or_is_not_complete_stays_as_it_is():
    stopped = flat_result(key="abc", state="stopped", params=9)
    assert trained_again(FIRST, []) is FIRST
    assert trained_again(stopped, [repeat()]) is stopped


def test_a_result_with_repeats_reads_back_and_one_without_has_no_more_to_tell():
    again = trained_again(FIRST, [repeat()])
    assert flat_result(**json.loads(json.dumps(again.to_json()))) == again
    assert "trainings" not in FIRST.to_json()
