"""A compressed network stands beside the front of its search, marked, and is no part of it."""

import io
import json
import shutil

import pytest
import torch
import yaml
from rich.console import Console

from nas.config.yaml_file import write_config
from nas.export.compress.compress import compress
from nas.export.compress.plan import Compression
from nas.export.export_folder import Export
from nas.report.read_search import read_search
from nas.search import opening
from nas.search.components import data_space, fixed_settings, study_settings, training_costs
from nas.search.join_search import join_search
from nas.search.notebook import open_search
from nas.search.remeasure_front import remeasure_front
from nas.search.resync import _summary, sync_search
from nas.search.trained_networks import TrainedNetworks
from nas.study.study import Study
from search_spaces.hybrid import Hybrid, Layer, TokenStage
from tests.nas.probers import CONDITIONS, SaysProber, latency
from tests.nas.small_run import config
from trainers.checkpoint import write_checkpoint
from trainers.data.prepare import prepare_data
from trainers.data.task import Task
from trainers.errors import UserError

POINT = Hybrid(
    width=8, growth=2.0, convs=2, levels=3, stem_stride=1, norm="group", token_stages=1,
    tokens=(TokenStage(layers_count=1, layers=(Layer(),)),),
)  # fmt: skip
OBJECTIVES = ("dice", "params", "latency_ms")
JOINED_MS, TRIAL_MS = 3.0, 5.0


def quiet():
    return Console(file=io.StringIO())


def answers(conditions=CONDITIONS):
    """A prober whose latencies are a compressed network's, and those of all others."""
    prober = SaysProber(lambda a: latency(JOINED_MS if a.space == "compressed" else TRIAL_MS))
    prober.conditions = lambda: conditions
    return prober


def open_study(directory, run):
    """The search's study, as a search opens it at first and when it goes on."""
    cache, cases = prepare_data(run.data, directory)
    within, costs = data_space(run, cache), training_costs(run, cache)
    fixed = fixed_settings(run, cache, cases, answers(), within.space.axes, cache.folder.name)
    settings = study_settings(run, within)
    opened = Study.open(directory, settings, costs, fixed=fixed, warm_start=[POINT])
    return opened, cache, cases


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A search of one trial, and a network that was pruned from it: their folders, and figures."""
    home = tmp_path_factory.mktemp("made")
    directory, run = home / "search", config(space={}, objectives=OBJECTIVES)
    directory.mkdir()
    study, cache, cases = open_study(directory, run)
    candidate = study.ask().with_latency(latency(TRIAL_MS))
    assert candidate.architecture == POINT
    torch.manual_seed(1)
    weights = POINT.build(cache.channels, cache.targets.outputs).state_dict()
    write_checkpoint(directory / "checkpoints" / f"{candidate.key}.pt", {"weights": weights})
    study.tell(candidate.result(state="complete", dice=0.5, epochs=3))
    write_config(run, directory / "config.yaml")
    (directory / "split.json").write_text(cases.to_json())
    Task.of(cache, run.train).write(directory)
    assert sync_search(directory, quiet()) == 0
    search = open_search(directory)
    export = search.export(search.pick("best-dice"), home / "out")
    plan = Compression(method="prune", of=("channels", "neurons"), patches=1, steps=0)
    record = compress(export, plan, home / "small", lambda *_: None)
    return directory, home / "small", record["figures"]["compressed"]


@pytest.fixture
def search(made, tmp_path, monkeypatch):
    """Copies of the two folders, and the prober that is opened."""
    prober = answers()
    monkeypatch.setattr(opening, "open_prober", lambda *_: prober)
    directory = shutil.copytree(made[0], tmp_path / "search")
    return directory, shutil.copytree(made[1], tmp_path / "small"), prober


def test_it_is_scored_counted_and_timed_as_members_are(search, made):
    directory, small, prober = search
    joined, new = join_search(directory, small, quiet())
    figures, export = made[2], Export(small)
    assert new
    assert joined.dice == pytest.approx(figures["dice"], abs=1e-6)
    assert (joined.costs["params"], joined.costs["macs"]) == (figures["params"], figures["macs"])
    assert joined.costs["memory"] > 0
    assert joined.costs["latency_ms"] == JOINED_MS and prober.closed
    [asked], [trained] = prober.sets, prober.trained
    assert asked == [export.architecture] and trained.weights == [export.weights]
    assert joined.compressed == {
        "method": "prune", "of": POINT.key, "weights": export.fingerprint,
    }  # fmt: skip


@pytest.mark.parametrize(("more", "status"), [(0, "FINISHED"), (1, None)])
def test_a_search_that_ended_has_ended_after_it_joined(search, more, status):
    """`more`: bytes that the journal has since the summary was written."""
    directory, small, _ = search
    length = (directory / "journal.log").stat().st_size - more
    told = {"trials": 1, "status": "FINISHED", "journal_bytes": length}
    (directory / "summary.json").write_text(json.dumps(told))
    join_search(directory, small, quiet())
    numbers = {} if status is None else {"trials": 1.0}
    assert _summary(directory) == (numbers, status)


def test_it_stands_beside_the_front_and_is_no_trial(search):
    directory, small, _ = search
    before = read_search(directory)[1]
    joined, _ = join_search(directory, small, quiet())
    record = read_search(directory)[1]
    assert record.compressed == [joined]
    assert (record.results, record.members) == (before.results, before.members)
    assert (record.hypervolume, record.ranks) == (before.hypervolume, before.ranks)
    assert sync_search(directory, quiet()) == 0
    written = json.loads((directory / "front.json").read_text())
    [row] = written["compressed"]
    assert (row["compressed"]["method"], row["compressed"]["of"]) == ("prune", POINT.key)
    assert [member["key"] for member in written["members"]] == [POINT.key]
    opened = open_search(directory)
    assert opened.compressed == [joined] and [r.key for r in opened.results] == [POINT.key]
    assert all(opened.pick(name).key == POINT.key for name in ("best-dice", "knee", "fastest"))


def test_a_search_that_goes_on_keeps_it_and_never_hears_of_it(search):
    directory, small, _ = search
    joined, _ = join_search(directory, small, quiet())
    study, *_ = open_study(directory, config(space={}, objectives=OBJECTIVES))
    assert study.compressed == [joined]
    assert (study.begun, [result.key for result in study.results]) == (1, [POINT.key])
    assert study.find(joined.key) is None
    known = [trial.user_attrs.get("key") for trial in study._study.get_trials()]
    assert known == [POINT.key]


def test_it_is_measured_again_with_the_front_of_a_search_that_goes_on(search):
    directory, small, _ = search
    joined, _ = join_search(directory, small, quiet())
    study, *_ = open_study(directory, config(space={}, objectives=OBJECTIVES))
    prober = SaysProber(lambda a: latency(4.0))
    place = directory / "windows.npy", directory / "window.npy"
    trained = TrainedNetworks(directory, *place)
    revised = remeasure_front(study, prober, trained, lambda _: None)
    assert [result.name for result in revised] == [POINT.key, joined.name]
    assert prober.trained[0].weights == [
        directory / "checkpoints" / f"{name}.pt" for name in (POINT.key, joined.name)
    ]
    assert study.compressed[0].costs["latency_ms"] == 4.0
    remeasure_front(study, prober, trained, lambda _: None)
    assert len(prober.sets) == 1


def test_the_same_weights_join_once(search):
    directory, small, prober = search
    joined, _ = join_search(directory, small, quiet())
    journal = (directory / "journal.log").read_bytes()
    assert join_search(directory, small, quiet()) == (joined, False)
    assert (directory / "journal.log").read_bytes() == journal
    assert len(prober.sets) == 1


def test_other_weights_of_the_same_network_take_its_place(search):
    directory, small, _ = search
    first, _ = join_search(directory, small, quiet())
    state = torch.load(small / "trial.pt", weights_only=True)
    name = next(name for name in state["weights"] if name.endswith("bias"))
    state["weights"][name] += 1.0
    write_checkpoint(small / "trial.pt", state)
    second, new = join_search(directory, small, quiet())
    assert new and second.compressed["weights"] != first.compressed["weights"]
    assert read_search(directory)[1].compressed == [second]
    kept = torch.load(directory / "checkpoints" / f"{second.name}.pt", weights_only=True)
    assert torch.equal(kept["weights"][name], state["weights"][name])


def test_it_is_exported_by_its_name(search, tmp_path):
    directory, small, _ = search
    joined, _ = join_search(directory, small, quiet())
    assert sync_search(directory, quiet()) == 0
    opened = open_search(directory)
    picked = opened.pick(joined.name)
    assert picked.key == joined.key == opened.pick(joined.key).key
    again = opened.export(picked, tmp_path / "again")
    assert again.architecture == Export(small).architecture
    card = (again.folder / "README.md").read_text()
    assert f"prune of {POINT.key}" in card and "made smaller by segnas" in card
    told = json.loads((again.folder / "architecture.json").read_text())
    assert told["origin"]["trial"] == POINT.key  # which it can stand beside when compressed again


def edited(file, change):
    """The YAML or JSON file after `change` of what it holds."""
    values = yaml.safe_load(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def swap_parts(split):
    split["training"][0], split["validation"][0] = split["validation"][0], split["training"][0]


REFUSED = {
    "patch": ("retrain.yaml", lambda v: v["task"].update(patch=[16, 16, 16]), "patch is"),
    "split": ("split.json", swap_parts, r"data\.split\.training is"),
    "preprocessing": (
        "retrain.yaml",
        lambda v: v["data"]["preprocess"].update(spacing=[2.0, 2.0, 2.0]),
        r"data\.preprocess\.spacing is",
    ),
    "classes": ("retrain.yaml", lambda v: v["data"].update(organs=4), r"data\.classes is"),
    "volumes": ("retrain.yaml", lambda v: v["data"].update(noise=80.0), "other volumes"),
    "search": (
        "architecture.json",
        lambda v: v["origin"].update(search_id="another"),
        "is another one",
    ),
    "trial": (
        "architecture.json",
        lambda v: v["origin"].update(trial="0123456789"),
        "made of the network 0123456789",
    ),
    "int8": ("compression.json", lambda v: v.update(method="quantise-aware"), "for int8"),
    "record": ("compression.json", lambda v: v.pop("method"), "is damaged"),
    "known cases": (
        "compression.json",
        lambda v: v["original"].update(saw_validation=True),
        "learnt the search's validation cases",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(search, what):
    directory, small, _ = search
    file, change, told = REFUSED[what]
    edited(small / file, change)
    journal = (directory / "journal.log").read_bytes()
    with pytest.raises(UserError, match=told):
        join_search(directory, small, quiet())
    assert (directory / "journal.log").read_bytes() == journal
    assert len(list((directory / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("validation", "learnt the search's validation cases"),
        ("training", "learnt 2 of the search's 3 training cases; expected its split"),
    ],
)
def test_weights_of_another_split_are_refused_in_a_folder_with_that_of_the_search(
    search, part, told
):
    directory, small, _ = search
    shutil.copyfile(small / "trial.pt", small / "retrained.pt")
    learnt = json.loads((small / "split.json").read_text())[part][:2]
    record = {"from": "scratch", "training": learnt, "validation": []}
    (small / "retrained.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=told):
        join_search(directory, small, quiet())


def test_a_search_whose_data_changed_since_is_refused(search):
    directory, small, _ = search
    edited(directory / "config.yaml", lambda v: v["data"].update(cases=7))
    with pytest.raises(UserError, match=r"(?s)not those of the search.*data\.split\.training was"):
        join_search(directory, small, quiet())


def test_latencies_taken_elsewhere_are_refused(search, monkeypatch):
    directory, small, _ = search
    elsewhere = CONDITIONS.__class__.from_json({**CONDITIONS.to_json(), "device": "another"})
    monkeypatch.setattr(opening, "open_prober", lambda *_: answers(elsewhere))
    told = r'latency\.device is "a machine" in the search and "another" here'
    with pytest.raises(UserError, match=told):
        join_search(directory, small, quiet())


def test_what_is_over_the_budget_is_refused(search):
    directory, small, _ = search
    edited(directory / "config.yaml", lambda v: v["budget"].update(latency_ms=2.0))
    with pytest.raises(UserError, match=r"over budget: latency_ms 3 ms"):
        join_search(directory, small, quiet())


def test_an_evaluator_of_one_s_own_cannot_tell_the_dice_of_other_weights(search):
    edited(search[0] / "config.yaml", lambda v: v["search"].update(evaluator="mine"))
    with pytest.raises(UserError, match=r"search\.evaluator = mine"):
        join_search(*search[:2], quiet())


def test_an_export_that_was_not_made_smaller_is_refused(search, made):
    with pytest.raises(UserError, match="was not made smaller"):
        join_search(search[0], made[1].parent / "out", quiet())


def test_the_command_shows_it_and_writes_the_front_anew(search, segnas):
    directory, small, _ = search
    printed = segnas.printed("join", directory, small)
    assert f"(prune of {POINT.key}) stands beside the front" in printed
    assert f"-prune: prune of {POINT.key}" in segnas.printed("front", directory)
    assert f"prune of {POINT.key}" in (directory / "front.html").read_text()
    assert segnas.json("join", directory, small)["compressed"]["method"] == "prune"
