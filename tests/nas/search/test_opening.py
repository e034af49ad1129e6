"""What a search says of itself before anything is trained."""

import pytest

from nas.search.opening import Place, about_search, first_networks
from nas.study.samplers.warm_start import WarmStart
from search_spaces.hybrid import Hybrid
from tests.nas.small_run import config
from trainers.data.splits import Cases

CASES = Cases(("a", "b", "c"), ("d",))


def about(folder, slots=2, **search):
    place = Place(cluster=None, slots=slots, lock_name="", cache=None, cases=CASES, prober=None)
    return list(about_search(config(search=search), folder, place))


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"trials": 4}, "12 epochs in all, those of 4 whole trainings; 3 epochs a network at most"),
        ({"epochs": 30}, "30 epochs in all; 3 epochs"),
        ({"budget": "trials", "trials": 7, "hours": 0.5}, "7 networks, 0.5 hours at most; 3"),
        ({"budget": "hours", "hours": 2}, "Budget: 2 hours; 3 epochs"),
    ],
)
def test_data_and_budget_are_told(tmp_path, search, told):
    first, _ = about(tmp_path, **search)
    assert first.startswith("Data: 3 training, 1 validation cases. Budget: ")
    assert told in first and first.endswith(", 2 side by side")


@pytest.mark.parametrize(("epochs", "told"), [(2, 1), (3, 0), (None, 0)])
def test_a_retraining_that_is_shorter_than_the_trainings_of_the_search_is_told(
    tmp_path, epochs, told
):
    place = Place(cluster=None, slots=1, lock_name="", cache=None, cases=CASES, prober=None)
    run = config(**({} if epochs is None else {"retrain": {"epochs": epochs}}))
    lines = [line for line in about_search(run, tmp_path, place) if line.startswith("Note")]
    assert len(lines) == told
    for line in lines:
        assert "4 steps (2 epochs), and a network of the search up to 6 (3 epochs)" in line


def test_the_folder_and_the_way_out_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = about(tmp_path / "runs" / "mine", slots=1)
    assert first.endswith("one after the other")
    assert second.startswith("Folder: runs/mine. Ctrl-C once ends it after the running epochs")


def test_the_ladder_is_told_in_words_of_no_insider():
    starts = [WarmStart(f"ladder {n}", Hybrid()) for n in (1, 2)]
    other = WarmStart("hybrid-s", Hybrid(), ("width 16 -> 8 (space.restrict)",))
    assert list(first_networks([*starts, other])) == [
        "Tried first: the plain network of the space in 2 sizes, smallest first (ladder 1 to 2)",
        "Tried first: hybrid-s: width 16 -> 8 (space.restrict)",
    ]
    [alone] = first_networks(starts[:1])
    assert alone == "Tried first: the plain network of the space (ladder 1)"
