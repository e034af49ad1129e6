"""What a search's configuration becomes for its parts."""

import pytest

from nas.search.components import fixed_settings
from search_spaces.axes import ALIKE
from tests.nas.small_run import config


def recorded(phantom, **train):
    cache, cases = phantom
    whole = {"patch": [24, 24, 24], "epochs": 1, **train}
    return fixed_settings(config(train=whole), cache, cases, None, ALIKE, cache.folder.name)[
        "train"
    ]


@pytest.mark.parametrize("refined", [{"ema": 0.99}, {"deep_supervision": True}])
def test_refinements_are_recorded_where_they_are_on(phantom, refined):
    plain, with_it = recorded(phantom), recorded(phantom, **refined)
    assert with_it == {**plain, **refined}  # a search of before, which has none, goes on
