"""The benchmark that ranks networks by shared weights and by trainings of their own."""

from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from search_spaces.hybrid import Hybrid
from trainers.errors import UserError
from trainers.supernet_recipe import SupernetRecipe

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("supernet_ranking")


def test_recipes_have_as_many_passes_as_the_trainings(script):
    """By hand: 6,400 passes, 4 a step, are 1,600 steps of 20 an epoch. Half of the epochs of one
    pass a step: 2.5 on the mean."""
    assert script.epochs_for(6400, SupernetRecipe(random=2), 20) == 80
    assert script.epochs_for(6400, SupernetRecipe(random=2, first=0.5), 20) == 128
    assert script.epochs_for(6400, SupernetRecipe(random=0), 20) == 160


def test_tables_tell_where_scores_rank_as_trainings_do(script, capsys):
    points = [Hybrid(width=width, growth=growth) for width in (4, 6, 8) for growth in (1.0, 2.0)]
    rows, scores = [], {}
    for place, point in enumerate(points):
        macs = 1e6 * (4 if point.growth == 2 else 1)
        rows.append({"key": point.key, "macs": macs, "dice": [[0.5 + place / 10]] * 2})
        # right within each growth, and the wrong way round between them
        score = 0.5 + place / 10 - (1.0 if point.growth == 2 else 0.0)
        scores[point.key] = {"key": point.key, "dice": score, "seconds": 0.5}
    script.show(rows, points, scores, trained=100.0)
    told = capsys.readouterr().out
    assert "scored in 0.50 s each, 7200 an hour" in told
    lines = [line.split() for line in told.replace("│", " ").splitlines()]
    within = [line for line in lines if line[:1] == ["growth"]]
    assert [(line[1], line[3]) for line in within] == [("1.0", "1.000"), ("2.0", "1.000")]
    overall = next(line for line in lines if line[:3] == ["score", "both", "seeds"])
    assert overall[3] == "6" and float(overall[4]) < 0.5


def test_a_folder_of_other_options_is_refused(script, tmp_path):
    table = Path("table") / "one.json"
    options = Namespace(to=tmp_path / "one", data=Path("d"), cache=None, table=table, teacher=0.5)
    script._claim(options)
    script._claim(Namespace(**{**vars(options), "data": Path("elsewhere")}))
    with pytest.raises(UserError, match="other options; take another folder"):
        script._claim(Namespace(**{**vars(options), "teacher": 0.0}))
    with pytest.raises(UserError, match="other options; take another folder"):
        script._claim(Namespace(**{**vars(options), "table": Path("two.json")}))
