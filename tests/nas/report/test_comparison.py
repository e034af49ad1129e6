"""Two searches beside each other: when their figures may be compared, and what is told."""

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from nas.report.comparison import compare, comparison_page, comparison_tables
from nas.report.read_search import read_search
from nas.tracking.tracked_runs import TrackedRuns
from tests.nas.probers import latency
from tests.nas.report.test_front_page import embedded_data
from tests.nas.results import flat_result, search_record
from tests.pinned.runs import STORED
from trainers.errors import UserError

SETTINGS = {
    "search.evaluator": {"name": "training"},
    "data": {"classes": ["background", "organ"], "split": {"training": ["a"], "validation": ["b"]}},
    "data.files": "a",
    "train": {"patch": [24, 24, 24], "epochs": 3, "batch": 2, "learning_rate": 0.01},
    "seed": 0,
}


def search(*results, objectives=("dice", "params"), settings=SETTINGS):
    return search_record(results, objectives=objectives, settings=settings)


def network(key, dice, params, **values):
    values = {"architecture": {"width": 4}, **values}
    return flat_result(key=key, dice=dice, params=params, **values)


A = search(network("a1", 0.80, 10), network("a2", 0.90, 100), network("both", 0.5, 1))
B = search(network("b1", 0.85, 100), network("b2", 0.95, 1000), network("both", 0.6, 1))


def with_settings(**changes):
    return search(network("c", 0.8, 10), settings={**SETTINGS, **changes})


def refusal(**searches):
    with pytest.raises(UserError) as refused:
        compare(searches)
    return str(refused.value)


def test_a_comparison_counts_and_measures():
    found = compare({"A": A, "B": B})
    told = found.to_json()
    assert found.reference == pytest.approx(0.9 * 0.95)  # a1 and b1 are below it, as is `both`
    assert [one["front"] for one in told["searches"]] == [["a2"], ["b2"]]
    assert [one["trained"] for one in told["searches"]] == [3, 3]
    assert [one["dominated"] for one in told["searches"]] == [0, 0]
    assert [(one["start"], one["end"], one["ahead"]) for one in told["ahead"]["params"]] == [
        (100, 1000, "A"),
        (1000, None, "B"),
    ]
    assert (
        found.in_common == "1 network was trained in several of them: the Dice differs by 0.1000."
    )
    assert json.loads(json.dumps(told)) == told


def test_candidates_that_begin_with_shared_weights_are_told():
    """Their epochs are those of a fine-tuning."""
    found = compare({"A": A, "C": with_settings(**{"search.supernet": {"fine_tune": 0.3}})})
    assert found.notes == ['search.supernet: null in A, {"fine_tune": 0.3} in C']


def test_seed_and_recipe_may_differ_and_the_recipe_is_told():
    train = {**SETTINGS["train"], "learning_rate": 0.1}
    found = compare({"A": A, "C": with_settings(train=train, seed=1)})
    assert found.notes == ["train.learning_rate: 0.01 in A, 0.1 in C"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {**SETTINGS["data"], "classes": ["background", "liver"]}}, "data.classes is"),
        (
            {"data": {**SETTINGS["data"], "split": {"training": ["a"], "validation": ["c"]}}},
            "the validation cases of C are others than those of A",
        ),
        ({"train": {**SETTINGS["train"], "epochs": 4}}, "train.epochs is 3 in A and 4 in C"),
        (
            {"search.evaluator": {"name": "fewer-cases"}},
            'search.evaluator.name is "training" in A and',
        ),
        ({"train": {**SETTINGS["train"], "patch": [8, 8, 8]}}, "train.patch is"),
        ({"data.files": "b"}, "the cases of C have other files than those of A"),
    ],
)
def test_figures_of_other_data_or_another_fidelity_are_refused(changes, words):
    assert words in refusal(A=A, C=with_settings(**changes))


def test_what_one_search_does_not_tell_of_its_files_is_not_compared():
    settings = {name: told for name, told in SETTINGS.items() if name != "data.files"}
    assert compare({"A": A, "C": search(network("c", 0.8, 10), settings=settings)})


def test_other_objectives_are_refused_with_what_both_have():
    other = search(network("c", 0.8, 10, macs=5), objectives=("dice", "macs", "params"))
    assert "--objectives dice,params" in refusal(A=A, C=other)
    assert "no trained network" not in refusal(C=other, A=A)
    assert compare({"A": A, "C": other}, ["dice", "params"]).objectives == ["dice", "params"]
    with pytest.raises(UserError, match=r"no trained network of A has MACs"):
        compare({"A": A, "C": other}, ["dice", "macs"])
    with pytest.raises(UserError, match="expected dice and at least one cost"):
        compare({"A": A, "C": other}, ["params"])


def test_an_objective_that_is_named_twice_counts_once():
    assert compare({"A": A, "B": B}, ["dice", "params", "dice"]).objectives == ["dice", "params"]
    with pytest.raises(UserError, match="expected dice and at least one cost"):
        compare({"A": A, "B": B}, ["dice", "dice"])


def test_memory_needs_the_same_optimiser():
    train = {**SETTINGS["train"], "optimizer": "sgd"}  # which keeps one number a weight, not two
    one, other = (
        search(network("c", 0.8, 10, memory=5), settings={**SETTINGS, "train": told})
        for told in (SETTINGS["train"], train)
    )
    assert compare({"A": one, "C": other}).notes == ['train.optimizer: null in A, "sgd" in C']
    with pytest.raises(UserError, match=r"train.optimizer is null in A and \"sgd\" in C"):
        compare({"A": one, "C": other}, ["dice", "memory"])


def test_memory_needs_the_same_training_step():
    batch = {**SETTINGS["train"], "batch": 4}
    one, other = (
        search(network("c", 0.8, 10, memory=5), settings={**SETTINGS, "train": train})
        for train in (SETTINGS["train"], batch)
    )
    assert compare({"A": one, "C": other}).notes == ["train.batch: 2 in A, 4 in C"]
    with pytest.raises(UserError, match=r"train.batch is 2 in A and 4 in C"):
        compare({"A": one, "C": other}, ["dice", "memory"])
    on_cpu, on_gpu = (
        search(
            network("c", 0.8, 10, memory=5),
            settings={**SETTINGS, "train.precision_used": precision, "memory.device": device},
        )
        for precision, device in (("fp32", "cpu"), ("bf16", "cuda"))
    )
    notes = compare({"A": on_cpu, "C": on_gpu}).notes
    assert 'train.precision_used: "fp32" in A, "bf16" in C' in notes
    with pytest.raises(UserError, match=r"memory\.device is "):
        compare({"A": on_cpu, "C": on_gpu}, ["dice", "memory"])
    assert compare({"A": one, "C": on_gpu}, ["dice", "memory"])  # of which nothing is known
    threads = (
        search(network("c", 0.8, 10, memory=5), settings={**SETTINGS, "memory.threads": count})
        for count in (1, 4)
    )
    with pytest.raises(UserError, match=r"memory\.threads is 1 in A and 4 in C"):
        compare(dict(zip("AC", threads, strict=True)), ["dice", "memory"])


def test_devices_that_are_not_compared_may_differ():
    told = latency(5.0).to_json()
    one, other = (
        search(network("c", 0.8, 10, **{"latency_ms@box": 5.0}, latencies=latencies))
        for latencies in ({"box": told}, {"box": told, "phone": told})
    )
    assert compare({"A": one, "C": other}, ["dice", "latency_ms@box"])
    elsewhere = {**told, "conditions": {**told["conditions"], "device": "another box"}}
    changed = search(network("c", 0.8, 10, **{"latency_ms@box": 5.0}, latencies={"box": elsewhere}))
    with pytest.raises(UserError, match=r"latency on box was measured on .*another box"):
        compare({"A": one, "C": changed}, ["dice", "latency_ms@box"])


def test_latencies_of_two_machines_are_refused():
    measured, elsewhere = latency(5.0).to_json(), latency(5.0).to_json()
    elsewhere["conditions"] = {**elsewhere["conditions"], "device": "another machine"}
    one, other = (
        search(
            network("c", 0.8, 10, latency_ms=5.0, latency=told), objectives=("dice", "latency_ms")
        )
        for told in (measured, elsewhere)
    )
    assert "another machine" in refusal(A=one, C=other)
    assert "another" not in compare({"A": one, "D": one}).in_common


def test_a_journal_that_does_not_tell_its_data_is_refused():
    assert "the journal of C does not tell" in refusal(A=A, C=search(settings={}))


def test_the_page_has_both_fronts_and_escapes_what_it_is_told():
    attack = "</script><script>alert(1)</script>"
    html = comparison_page(compare({attack: A, "B": B}))
    assert attack not in html
    data = embedded_data(html)
    members = [one["key"] for one in data["networks"] if one["member"]]
    assert members == [f"{attack}/a2", "B/b2"]
    assert [one["text"] for one in data["leads"]["params"]] == [f"{attack} alone", "B by 0.0500"]
    assert [one["best"] for one in data["searches"]] == [0.9, 0.95]


def test_a_network_on_two_fronts_is_said_to_be_one():
    one, other = search(network("both", 0.9, 10)), search(network("both", 0.92, 10))
    comparison = compare({"A": one, "B": other, "C": search(network("c", 0.95, 100))})
    console = Console(file=StringIO(), width=120)
    console.print(*comparison_tables(comparison))
    rows = [line.split() for line in console.file.getvalue().splitlines() if " both " in line]
    assert [(row[1], row[-2]) for row in rows] == [("A", "B"), ("B", "A")]
    data = embedded_data(comparison_page(comparison))
    networks = {one["key"]: one["same"] for one in data["networks"]}
    assert networks == {"A/both": ["B"], "B/both": ["A"], "C/c": []}


def test_the_page_leads_to_the_runs_of_servers_that_answer():
    runs = TrackedRuns({"a2": "0123"}, "http://server/#/experiments/1/runs/")
    data = embedded_data(comparison_page(compare({"A": replace(A, runs=runs), "B": B})))
    told = {one["key"]: one["run"] for one in data["networks"] if one["member"]}
    assert told == {"A/a2": f"{runs.address}0123", "B/b2": None}


@pytest.fixture
def folders(tmp_path):
    stored = STORED["search"].parent / "version_0_1" / "search"
    return [str(shutil.copytree(stored, tmp_path / name)) for name in ("one", "two")]


def test_the_command_compares_folders_of_searches(folders, tmp_path, monkeypatch, segnas):
    [member, *_] = read_search(Path(folders[0]))[1].members
    runs = TrackedRuns({member.name: "0123"}, "http://server/#/experiments/1/runs/")
    monkeypatch.setattr("nas.tracking.lookup.find_trial_runs", lambda *_: runs)
    page = tmp_path / "both.html"
    shown = segnas.printed("compare", *folders, "--to", page)
    assert "as good (within 0.003)" in shown
    assert "0 of 1" in shown
    assert page.stat().st_size > 30_000
    assert runs.address + "0123" in page.read_text()
    told = segnas.json("compare", *folders)
    assert [one["name"] for one in told["searches"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ONE", "ONE"], "2 folders, 1 of them different"),
        (["ONE"], "expected the folders of 2 to 8 different searches"),
        (["ONE", "NONE"], "is no search"),
        (["ONE", "TWO", "--objectives", "dice,speed"], "'speed' is unknown"),
    ],
)
def test_a_command_that_cannot_compare_says_why(words, told, folders, segnas):
    names = {"ONE": folders[0], "TWO": folders[1], "NONE": folders[0] + "-none"}
    said = segnas.refused("compare", *(names.get(word, word) for word in words))
    assert told in " ".join(said.split())
