"""The windows that trained networks are timed on."""

from dataclasses import replace

import numpy as np

from nas.search.trained_networks import WINDOWS, spread_windows, trained_networks
from tests.nas.results import flat_result
from tests.nas.small_run import plain_run
from trainers.volumes.window_grid import window_places


def test_windows_are_of_all_cases_and_of_all_places(phantom):
    cache, cases = phantom
    names = cases.validation
    found = spread_windows(cache, names, (16, 16, 16), 0.25, 8)
    assert found.shape == (8, 1, 16, 16, 16)
    assert found.dtype == np.float32
    places = [
        next(
            (name, place)
            for name in names
            for place in window_places(cache.shape(name), (16, 16, 16), 0.25)
            if np.array_equal(window, cache.image(name)[(slice(None), *place)])
        )
        for window in found
    ]
    assert {name for name, _ in places} == set(names)
    assert len(set(map(str, places))) == 8


def test_a_case_smaller_than_the_window_is_padded(phantom):
    cache, cases = phantom
    [window] = spread_windows(cache, cases.validation, (32, 24, 24), 0.25, 1)
    assert window.shape == (1, 32, 24, 24)
    assert not window[:, :4].any()
    assert np.array_equal(window[:, 4:28], cache.image(cases.validation[0]))


def test_a_pass_has_several_only_where_the_input_of_a_network_decides(phantom, tmp_path):
    cache, cases = phantom
    run = plain_run(train={"patch": [16, 16, 16]}, latency={"batch": 2})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.pt").touch()
    results = [flat_result(key=key) for key in ("a", "b")]
    with trained_networks(tmp_path, run, cache, cases.validation) as trained:
        found = trained.of(results)
        assert np.load(found.windows).shape == (1, 2, 1, 16, 16, 16)
        assert found.weights == [tmp_path / "checkpoints" / "a.pt", None]
        decides = trained.of([results[0], replace(results[1], macs_bounds=(1, 2))])
        assert np.load(decides.windows).shape == (WINDOWS, 2, 1, 16, 16, 16)
        assert np.array_equal(np.load(decides.windows)[:1], np.load(found.windows))
    assert not found.windows.exists()
