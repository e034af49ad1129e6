"""What a search's configuration becomes for its parts."""

import pytest

from nas.search.components import fixed_settings
from nas.study.resume_check import check_settings_unchanged
from search_spaces.axes import ALIKE
from tests.nas.small_run import config
from trainers.errors import UserError


def recorded(phantom, train=None, **changes):
    cache, cases = phantom
    whole = {"patch": [24, 24, 24], "epochs": 1, **(train or {})}
    run = config(train=whole, **changes)
    return fixed_settings(run, cache, cases, None, ALIKE, cache.folder.name)


@pytest.mark.parametrize("refined", [{"ema": 0.99}, {"deep_supervision": True}])
def test_refinements_are_recorded_where_they_are_on(phantom, refined):
    plain, with_it = recorded(phantom)["train"], recorded(phantom, refined)["train"]
    assert with_it == {**plain, **refined}  # a search of before, which has none, goes on


FEWER = {"name": "fewer-cases", "share": 0.25}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("training", FEWER, r'search\.evaluator\.name was "training" and is "fewer-cases"'),
        (FEWER, "training", r'search\.evaluator\.name was "fewer-cases" and is "training"'),
        (FEWER, {**FEWER, "share": 1.0}, r"search\.evaluator\.share was 0\.25 and is 1\.0"),
    ],
)
def test_another_evaluator_is_refused_under_an_old_journal(phantom, tmp_path, before, after, told):
    old, new = (recorded(phantom, search={"evaluator": one}) for one in (before, after))
    with pytest.raises(UserError, match=told):
        check_settings_unchanged(old, new, tmp_path)
    check_settings_unchanged(new, new, tmp_path)


def test_a_journal_that_does_not_say_which_goes_on_with_any(phantom, tmp_path):
    told = recorded(phantom, search={"evaluator": FEWER})
    before = {name: value for name, value in told.items() if name != "search.evaluator"}
    check_settings_unchanged(before, told, tmp_path)


def test_an_evaluator_may_be_written_as_a_name_or_a_mapping(phantom):
    both = ["training", {"name": "training"}], ["fewer-cases", {"name": "fewer-cases"}]
    for pair in both:
        short, long = (recorded(phantom, search={"evaluator": one}) for one in pair)
        assert short == long


def on_a_gpu(phantom, gpus, **changes):
    return recorded(phantom, resources={"cpus": 1, "gpus": gpus}, **changes)


def test_another_precision_or_device_of_memory_is_refused_under_an_old_journal(phantom, tmp_path):
    memory = {"objectives": ["dice", "params", "memory"]}
    old, new = (on_a_gpu(phantom, gpus, **memory) for gpus in (0, 1))
    with pytest.raises(UserError) as error:
        check_settings_unchanged(old, new, tmp_path)
    told = str(error.value)
    assert 'networks trained in "fp32", and resources.gpus makes train.precision "bf16"' in told
    assert 'memory was estimated for "cpu", and resources.gpus makes it "cuda"' in told
    added = {"train.precision_used", "memory.device", "memory.threads"}
    before = {name: value for name, value in old.items() if name not in added}
    check_settings_unchanged(before, new, tmp_path)  # which did not record them


def test_memory_of_other_threads_is_refused_under_an_old_journal(phantom, tmp_path):
    memory = {"objectives": ["dice", "params", "memory"]}
    old, new = (recorded(phantom, resources={"cpus": cpus}, **memory) for cpus in (1, 2))
    told = "memory was estimated for resources.cpus = 1, and they are 2"
    with pytest.raises(UserError, match=told):
        check_settings_unchanged(old, new, tmp_path)
    plain = {"objectives": ["dice", "params"]}  # where nothing depends on them
    old, new = (recorded(phantom, resources={"cpus": cpus}, **plain) for cpus in (1, 2))
    check_settings_unchanged(old, new, tmp_path)


def test_a_search_of_one_precision_goes_on_on_another_device(phantom, tmp_path):
    plain = {"train": {"precision": "fp32"}, "objectives": ["dice", "params"]}
    old, new = (on_a_gpu(phantom, gpus, **plain) for gpus in (0, 1))
    check_settings_unchanged(old, new, tmp_path)
    other = on_a_gpu(phantom, 0, train={"precision": "bf16"}, objectives=["dice", "params"])
    with pytest.raises(UserError, match=r'train\.precision was "fp32" and is "bf16"') as error:
        check_settings_unchanged(old, other, tmp_path)
    assert "resources.gpus" not in str(error.value)  # not the reason
