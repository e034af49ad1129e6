"""What a search tries first."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.cost.count import cost_of
from nas.report.write_front import write_front
from search_spaces.hybrid import SPACE, Hybrid, Layer, TokenStage
from search_spaces.registry import ARCHITECTURE, architecture_record, find_preset, find_space
from search_spaces.space import path_pattern, to_params
from search_spaces.translation import translate
from tests.nas.parts import placed_starts, training_costs, warm_starts
from tests.nas.results import flat_result, search_record
from tests.nas.small_run import plain_run
from trainers.errors import UserError

PATCH = (32, 32, 32)
ONLY_CONV = {knob: [value] for knob, value in to_params(find_preset("hybrid-xs")).items()}
ONLY_CONV["conv"] = ["standard", "ghost"]


def config(*names, budget=None, patch=PATCH, space="hybrid", **restrict):
    restrict = {knob.replace("__", "."): allowed for knob, allowed in restrict.items()}
    return plain_run(
        train={"patch": patch},
        space={"name": space, "restrict": restrict},
        budget=budget or {},
        search={"warm_start": names},
    )


def warm(*names, **changes):
    return warm_starts(config(*names, **changes), 1, 3)


def refused(*names, **changes):
    """What every error says, before there are data as well as after."""
    told = []
    for look in (placed_starts, lambda run: warm_starts(run, 1, 3)):
        with pytest.raises(UserError) as error:
            look(config(*names, **changes))
        told.append(str(error.value))
    assert told[0] == told[1]
    return told[0]


def write_file(path, architecture):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(architecture_record(architecture)))
    return str(path)


def write_search(folder, *architectures):
    """The front of an earlier search, as a search writes it: the larger, the better."""
    folder.mkdir()
    results = [
        flat_result(
            number=i, **architecture_record(architecture), dice=0.5 + i / 10, params=1000 * (i + 1)
        )
        for i, architecture in enumerate(architectures)
    ]
    record = search_record(results, classes=("a", "b"))
    write_front(folder, record)
    return str(folder)


def params(architecture):
    return cost_of(architecture, 1, 3, PATCH).params


def test_presets_of_the_space_are_tried_as_they_are():
    names = list(SPACE.presets())[:3]
    starts = warm(*names)
    assert [start.architecture for start in starts] == [SPACE.presets()[name] for name in names]
    assert [start.changes for start in starts] == [()] * 3
    assert str(starts[0]) == f"{names[0]}: as it is"


def test_an_architecture_file_and_an_exported_folder_are_read(tmp_path):
    file = write_file(tmp_path / "a.json", Hybrid(anchors=16))
    write_file(tmp_path / "out" / ARCHITECTURE, Hybrid(anchors=32))
    found = [start.architecture for start in warm(file, str(tmp_path / "out"))]
    assert found == [Hybrid(anchors=16), Hybrid(anchors=32)]


def test_a_network_of_another_space_is_translated():
    (start,) = warm("lightmedseg")
    assert start.architecture == translate(find_preset("lightmedseg"), SPACE)
    assert str(start) == "lightmedseg: translated to hybrid"


def test_the_nearest_that_the_restriction_allows_is_tried_and_told():
    (start,) = warm("hybrid-l", width=[8, 12, 16], refine=[0, 4], skip=["add", "routed"])
    wanted = replace(SPACE.presets()["hybrid-l"], width=16, refine=4, skip="add")
    assert start.architecture == wanted
    told = "width 24 -> 16, refine 8 -> 4, skip concat -> add (space.restrict)"
    assert start.changes == (told,)


def test_a_stride_that_does_not_fit_the_patch_is_lowered():
    (start,) = warm("swin-unetr-s", patch=(48, 48, 48))
    assert start.architecture.stride() == 16
    assert start.changes == ("translated to hybrid", "levels 5 -> 4 (train.patch)")


def test_over_the_budget_width_is_given_up_first_and_no_more_than_needed():
    wide = Hybrid(width=16, growth=1.0)
    limit = params(replace(wide, width=8)) + 1
    assert params(replace(wide, width=12)) > limit
    (start,) = warm("hybrid-m", budget={"params": limit}, skip=["concat"], refine=[4])
    assert start.architecture == replace(wide, width=8)
    assert start.changes[-1] == "width 16 -> 8 (budget.params)"


def test_where_width_is_not_enough_the_knob_that_helps_most_follows():
    """Of width 4, ghost convolutions save most of what is left to save."""
    only = {"width": [4, 8], "levels": [3], "stem_stride": [2], "token_stages": [0], "refine": [0]}
    only |= {
        "growth": [2.0],
        "convs": [2],
        "anchors": [0],
        "residual": [True],
        "norm": ["instance"],
    }
    only |= {"skip": ["concat", "add"], "decoder": ["residual"], "prior": [False]}
    narrow = Hybrid(width=4, refine=0)
    added, ghost = replace(narrow, skip="add"), replace(narrow, conv="ghost")
    assert params(ghost) < params(added) < params(narrow)
    (start,) = warm("hybrid-anchors", budget={"params": params(added) - 1}, **only)
    assert start.architecture == ghost
    assert start.changes[1] == "width 8 -> 4, conv standard -> ghost (budget.params)"


@pytest.mark.parametrize(
    "budget",
    [{"params": 2e4}, {"macs": 3e6}, {"memory": "8MB"}, {"params": 4e4, "memory": "10MB"}],
)
def test_every_limit_is_met_that_is_known_before_training(budget):
    run = config("lightmedseg", budget={**budget, "latency_ms": 1e-9}, patch=(16, 16, 16))
    (start,) = warm_starts(run, 1, 3)
    count = training_costs(run, 1, 3)
    costs = count(start.architecture)
    assert not run.budget.excess(costs)
    assert run.budget.excess(
        training_costs(run, 1, 3)(translate(find_preset("lightmedseg"), SPACE))
    )


def test_latency_alone_changes_nothing():
    (start,) = warm("hybrid-l", budget={"latency_ms": 1e-9})
    assert start.changes == ()


def test_a_budget_that_nothing_near_meets_is_refused():
    with pytest.raises(UserError) as error:
        warm("hybrid-xs", budget={"params": 10}, width=[6], token_stages=[0])
    assert "search.warm_start: hybrid-xs: nothing near it meets budget.params = 10" in str(
        error.value
    )
    assert "(smallest found: " in str(error.value)


def test_two_names_of_one_network_are_one():
    starts = warm("hybrid-xs", "hybrid-s", width=[6], refine=[4])
    assert [start.name for start in starts] == ["hybrid-xs"]
    assert starts[0].changes == ("the same as hybrid-s",)


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_every_start_can_be_proposed_in_the_restricted_space(data):
    """The study's distributions have to hold the answers that make it."""
    restrict = {}
    for knob in SPACE.knobs():
        if knob.name not in ("levels", "stem_stride") and data.draw(st.booleans()):
            restrict[knob.name] = data.draw(st.sets(st.sampled_from(knob.options), min_size=1))
    names = ("lightmedseg", "slimformer3d", "apformer", "hybrid-pruned")
    run = config(*names, **{k.replace(".", "__"): list(v) for k, v in restrict.items()})
    for start in warm_starts(run, 1, 3):
        for path, value in to_params(start.architecture).items():
            assert value in restrict.get(path_pattern(path), (value,))


# The front of an earlier search


def test_the_front_of_an_earlier_search_is_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small, large = Hybrid(width=6), Hybrid(anchors=8, prior=True)
    write_search(tmp_path / "last", small, large)
    starts = warm("last/")
    assert {start.name: start.architecture for start in starts} == {
        f"last/{small.key}": small,
        f"last/{large.key}": large,
    }
    assert warm("last") == starts


def test_so_is_one_of_another_space_and_of_another_restriction(tmp_path):
    foreign, wide = find_preset("lightmedseg-small"), Hybrid(width=32)
    (first,) = warm(write_search(tmp_path / "a", foreign), width=[4, 6])
    assert first.architecture == replace(translate(foreign, SPACE), width=6)
    assert first.changes == ("translated to hybrid", "width 8 -> 6 (space.restrict)")
    (second,) = warm(write_search(tmp_path / "b", wide), width=[4, 6])
    assert second.architecture == Hybrid(width=6)


def test_a_search_goes_on_in_a_space_of_its_own(tmp_path):
    point = find_preset("slimformer3d-tiny")
    (start,) = warm(write_search(tmp_path / "a", point), space="slimformer", width=[8, 16])
    assert find_space("slimformer").from_json(start.architecture.to_json()).key == point.key
    assert start.changes == ()


def test_idle_parts_of_a_member_are_spelt_again(tmp_path):
    """A front names canonical networks; a space of one to two stages has no other spelling."""
    stage = TokenStage(layers_count=1, layers=(Layer(),))
    member = Hybrid(token_stages=1, tokens=(stage,))
    (start,) = warm(write_search(tmp_path / "a", member), token_stages=[2])
    assert start.architecture.token_stages == 2
    assert start.architecture.key == member.key
    assert start.changes == ()


# What is refused


def test_an_unknown_name_is_refused_with_the_nearest():
    message = refused("hybrid-xsx")
    assert "search.warm_start: hybrid-xsx: 'hybrid-xsx' is no preset" in message
    assert "Did you mean hybrid-xs?" in message


def test_a_network_that_cannot_be_translated_is_refused_with_the_spaces():
    message = refused("hybrid-xs", space="lightmedseg")
    assert "a network of hybrid cannot be translated into lightmedseg" in message
    assert "from lightmedseg, slimformer, token_sparse" in message


def test_a_stride_that_cannot_be_lowered_is_refused():
    message = refused("hybrid-xs", patch=(12, 12, 12), levels=[3], stem_stride=[2])
    assert "train.patch = [12, 12, 12]: no network of hybrid" in message


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
    found = refused(str(file))
    assert message in found
    assert str(file) in found


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\x00"])
def test_a_file_that_is_no_architecture_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in refused(str(tmp_path / "a.json"))


def test_what_is_missing_is_refused(tmp_path):
    assert "none.json: No such file" in refused(str(tmp_path / "none.json"))
    assert "front.json is missing" in refused(str(tmp_path / "none"))
    assert "front.json is missing" in refused(str(tmp_path))


def test_a_front_without_members_is_refused(tmp_path):
    assert "has no members" in refused(write_search(tmp_path / "a"))


def test_a_member_of_no_space_is_refused(tmp_path):
    folder = write_search(tmp_path / "a", Hybrid())
    file = tmp_path / "a" / "front.json"
    file.write_text(file.read_text().replace(Hybrid().key, "0123456789"))
    assert "key is 0123456789, but these choices are" in refused(folder)


def test_a_front_of_version_0_1_is_to_be_written_anew(tmp_path):
    folder = write_search(tmp_path / "a", Hybrid())
    file = tmp_path / "a" / "front.json"
    record = json.loads(file.read_text())
    del record["space"]
    file.write_text(json.dumps(record))
    assert f"written anew by: segnas sync {folder}" in refused(folder)
