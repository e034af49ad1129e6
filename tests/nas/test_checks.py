import json

import pytest

from nas.checks import check_run, warm_start
from nas.config import Budget, RunConfig
from search_spaces.hybrid import SPACE, Hybrid
from search_spaces.registry import architecture_record
from trainers.errors import UserError

PLAIN = {"levels": [3], "stem_stride": [2], "token_stages": [0]}


def config(**changes):
    values = {
        "name": "mine",
        "data": {"source": "phantom"},
        "train": {"patch": [32, 32, 32]},
        "space": {"restrict": PLAIN},
    }
    return RunConfig.model_validate({**values, **changes})


def refused(run, channels=1, classes=2):
    with pytest.raises(UserError) as error:
        check_run(run, channels, classes)
    return str(error.value)


def test_a_possible_run_passes():
    check_run(config(), 1, 2)


def test_a_patch_off_the_stride_is_refused_with_one_that_fits():
    message = refused(config(train={"patch": [40, 30, 33]}))
    assert "train.patch = [40, 30, 33]" in message
    assert "stride 8" in message
    assert "[40, 32, 40]" in message


def test_the_patch_that_is_advised_passes():
    check_run(config(train={"patch": [40, 32, 40]}), 1, 2)


def test_a_network_of_slices_asks_nothing_of_their_number():
    plane = {"name": "apformer", "restrict": {"spatial_dims": [2], "levels": [4]}}  # stride 8
    check_run(config(space=plane, train={"patch": [5, 32, 40]}), 1, 2)
    assert "stride 8" in refused(config(space=plane, train={"patch": [5, 32, 36]}))


def test_every_stride_of_the_space_counts():
    """Levels 3 to 5, stem stride 1 or 2: strides 4 to 32."""
    message = refused(config(space={}, train={"patch": [48, 48, 48]}))
    assert "stride 4, 8, 16, 32, and 32 does not divide it" in message
    assert "[64, 64, 64]" in message


# The smallest plain network: width 4 everywhere, one ghost convolution a unit, no shortcut.
# One channel in, two classes: encoder 4 <- 1, 4 <- 4, 4 <- 4; decoder 4 <- 4 twice; a 2^3 head.
GHOST = [(n * 2 * 27 + 2) + (2 * 27 + 2) + 2 * 4 for n in (1, 4, 4)]
SMALLEST = sum(GHOST) + 2 * ((4 * 4 * 8 + 4) + GHOST[1]) + (4 * 2 * 8 + 2)


def test_a_budget_that_nothing_meets_is_refused_with_the_smallest_network():
    message = refused(config(budget={"params": SMALLEST - 1}))
    assert f"budget.params = {SMALLEST - 1:,} (smallest found: {SMALLEST:,})" in message
    assert "hybrid" in message


def test_a_budget_that_the_smallest_network_meets_passes():
    check_run(config(budget={"params": SMALLEST}), 1, 2)


def test_a_budget_of_macs_is_checked_as_well():
    assert "budget.macs = 10 (smallest found: " in refused(config(budget={"macs": 10}))


def test_a_restriction_can_make_a_budget_impossible():
    run = config(budget={"params": SMALLEST}, space={"restrict": {**PLAIN, "width": [32]}})
    assert "budget.params" in refused(run)


def test_a_patch_of_one_voxel_at_the_deepest_level_is_refused():
    run = config(train={"patch": [8, 8, 8]}, space={"restrict": PLAIN})
    assert "such as [16, 16, 16]" in refused(run)


def test_excess_names_the_limits_that_are_exceeded_and_by_which_factor():
    budget = Budget(params=10, macs=100)
    assert budget.excess({"params": 20, "macs": 150}) == {"params": 2.0, "macs": 1.5}
    assert budget.excess({"params": 5, "macs": 150, "latency_ms": 9.0}) == {"macs": 1.5}
    assert budget.excess({"params": None}) == {}
    assert Budget().excess({"params": 5}) == {}


# Warm start


def warm(*names, **space):
    return warm_start(config(search={"warm_start": names}, space=space))


def test_presets_are_found_by_name():
    names = list(SPACE.presets())[:2]
    assert warm(*names) == [SPACE.presets()[name] for name in names]


def test_an_unknown_preset_is_refused_with_the_nearest():
    (name, *_) = SPACE.presets()
    with pytest.raises(UserError) as error:
        warm(f"{name}x")
    assert f"search.warm_start: {name}x: '{name}x' is no preset" in str(error.value)
    assert f"Did you mean {name}?" in str(error.value)


def test_a_preset_that_the_restriction_leaves_out_is_refused_by_knob():
    name, preset = next((n, p) for n, p in SPACE.presets().items() if p.width != 32)
    with pytest.raises(UserError) as error:
        warm(name, restrict={"width": [32]})
    found = f"{name} has width = {preset.width}, but space.restrict.width is [32]"
    assert found in str(error.value)


def test_an_architecture_file_is_read(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(architecture_record(Hybrid(anchors=16))))
    assert warm(str(file)) == [Hybrid(anchors=16)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "0123456789"}, "key is 0123456789, but these choices are"),
        ({"space": "hybird"}, "Did you mean hybrid"),
        ({"space": ["hybrid"]}, "space"),
        ({"architecture": {"width": 8}}, "architecture.anchors is missing"),
        ({"architecture": None}, "architecture is NoneType"),
    ],
)
def test_an_architecture_file_that_does_not_fit_is_refused(tmp_path, change, message):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**architecture_record(Hybrid()), **change}))
    with pytest.raises(UserError) as error:
        warm(str(file))
    assert message in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\x00"])
def test_a_file_that_is_no_architecture_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json"):
        warm(str(tmp_path / "a.json"))


def test_a_missing_architecture_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: No such file"):
        warm(str(tmp_path / "none.json"))
