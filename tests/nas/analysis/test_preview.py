"""`segnas preview` from a configuration to files."""

import io
import json
import re
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import pytest

from nas.analysis.preview.make_preview import cost_importances
from nas.analysis.preview.sample_space import Draw, draw_points
from nas.analysis.preview.survey import Survey
from nas.cli.main import main
from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.count import cost_of
from nas.cost.memory import memory_of
from search_spaces.hybrid import SPACE
from search_spaces.registry import find_preset
from search_spaces.space import Architecture, RandomTrial, choice
from trainers.data.prepare import prepare_data

CONFIG = """
name: mine
data:
  source: msd
  path: {data}
  preprocess: {{spacing: native, crop: none, intensity: ct}}
  split: {{validation: 0.34}}
space:
  name: hybrid
  restrict:
    width: [4, 6, 8]
    levels: [3]
    stem_stride: [2]
    convs: [1, 2]
    skip: [concat, add]
    decoder: [residual]
    prior: [false]
    token_stages: [0]
train: {{patch: [16, 16, 16], epochs: 2, steps_per_epoch: 10}}
objectives: [dice, params]
budget: {{params: 2.0e4, macs: 1.0e7}}
search: {{trials: 4, warm_start: [hybrid-xs], early_stopping: null}}
resources: {{concurrent: 2}}
"""
COUNT = 14


@dataclass(frozen=True, kw_only=True)
class Toy(Architecture):
    """Two knobs."""

    space = "toy"
    width: int = choice(1, 2, 4, 8, doc="channels")
    bias: bool = choice(True, False, doc="whether there is one")


@pytest.fixture(scope="module")
def path(tmp_path_factory, phantom_folder):
    """The file of a small run on phantoms."""
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_text(CONFIG.format(data=phantom_folder))
    return path


def run(path, folder, *options):
    """What the command returned and printed."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main(["preview", str(path), "--dir", str(folder), *options])
    return code, printed.getvalue()


@pytest.fixture(scope="module")
def seen(path, tmp_path_factory):
    """A whole preview: its folder and its JSON."""
    folder = tmp_path_factory.mktemp("preview")
    code, printed = run(path, folder, "--samples", str(COUNT), "--json")
    assert code == 0
    return folder, json.loads(printed)


@pytest.fixture(scope="module")
def points(path):
    """The architectures that it saw."""
    return draw(read_config(RunConfig, path), COUNT, 0).points


def draw(config, count, seed):
    """As the preview of that configuration draws."""
    within = space_for(config.space, None, config.train.patch)
    return draw_points(within.space, within.restrict, count, seed)


def test_json_is_all_that_standard_output_gets_and_is_written_too(seen):
    folder, report = seen
    assert report == json.loads((folder / "preview.json").read_text())
    assert {p.name for p in folder.iterdir()} == {
        "cache",  # the search finds it
        "preview.json",
        "preview.html",
        "preview.png",
    }
    assert (folder / "preview.png").read_bytes().startswith(b"\x89PNG")


def test_costs_are_those_of_the_architectures_drawn(seen, points):
    _, report = seen
    assert report["samples"] == len({point.key for point in points}) == COUNT
    costs = [cost_of(point, 1, 4, (16, 16, 16)) for point in points]
    memory = [memory_of(p, 1, 4, (16, 16, 16), batch=2).training for p in points]
    for name, values in (
        ("params", [cost.params for cost in costs]),
        ("macs", [cost.macs for cost in costs]),
        ("memory", memory),
    ):
        told = report["costs"][name]
        assert told["architectures"] == COUNT
        assert told["quantiles"]["0.5"] == np.median(values)
        assert told["quantiles"]["1"] == max(values)
    within = [cost.params <= 2e4 and cost.macs <= 1e7 for cost in costs]
    assert 0 < sum(within) < COUNT
    assert report["budget"]["share"] == pytest.approx(sum(within) / COUNT)
    params = report["budget"]["limits"]["params"]
    assert params["share"] == sum(cost.params <= 2e4 for cost in costs) / COUNT


def test_knobs_that_drive_costs_are_ranked(seen):
    _, report = seen
    for name in ("params", "macs", "memory"):
        assert report["importances"][name]["architectures"] == COUNT
        knobs = report["importances"][name]["knobs"]
        shares = [knob["share"] for knob in knobs]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1)
        assert {"width", "growth", "anchors"} <= {knob["knob"] for knob in knobs}
        assert not {"levels", "stem_stride"} & {knob["knob"] for knob in knobs}


def test_what_drives_a_cost_is_the_knob_that_it_is_made_of():
    """Parameters are 10 width² whatever the bias, MACs the bias alone; memory is unknown."""
    points = [Toy(width=w, bias=b) for w in (1, 2, 4, 8) for b in (True, False)] * 4
    costs = tuple({"params": 10.0 * point.width**2, "macs": 1.0 + point.bias} for point in points)
    survey = Survey(Draw(tuple(points), len(points), False), costs, {}, {})
    params, macs = cost_importances(survey)
    assert params.shares["width"] > 0.9
    assert params.beyond_chance == {"width"}
    assert macs.shares["bias"] > 0.9
    assert macs.beyond_chance == {"bias"}


def test_presets_and_baselines_that_take_the_patch_are_there(seen):
    _, report = seen
    known = {reference["name"]: reference for reference in report["references"]}
    assert list(known)[: len(SPACE.presets())] == list(SPACE.presets())
    assert {"unet-s", "segresnet"} <= set(known)
    assert "swin-unetr" not in known  # its stride is 32
    small, large = known["hybrid-xs"], known["segresnet"]
    assert small["params"] == cost_of(find_preset("hybrid-xs"), 1, 4, (16, 16, 16)).params
    assert small["in_space"]
    assert small["within_budget"]
    assert not large["in_space"]
    assert large["excess"]["params"] == pytest.approx(large["params"] / 2e4)
    assert not known["hybrid-l"]["in_space"]  # of width 24


def test_the_hours_come_from_candidates_within_the_budget(seen, points):
    _, report = seen
    timed = report["candidates"]
    assert len(timed) >= 3
    assert {one["key"] for one in timed} <= {point.key for point in points}
    for one in timed:
        assert one["failure"] is None
        assert one["params"] <= 2e4
        assert one["seconds"]["step"] > 0
    search = report["search"]
    assert 0 < search["low"] <= search["hours"] <= search["high"]
    assert search["trials"] == 4
    schedule = search["schedule"]
    assert (schedule["slots"], schedule["steps"], schedule["validations"]) == (2, 10, 2)
    assert schedule["windows"] == 2 * 8  # two cases of 24^3 voxels
    assert schedule["pause"] == 0  # no latency among the objectives


def test_the_page_works_offline_and_names_what_it_shows(seen):
    folder, report = seen
    page = (folder / "preview.html").read_text()
    assert "<script" not in page
    assert not re.search(r"<(link|img)[^>]+(src|href)=|url\(.?http", page)
    assert page.count("<svg") == 7
    for text in (
        f"{COUNT} distinct architectures of hybrid",
        "within 20 k parameters",
        "What drives training memory",
        "hybrid-ghost",
        "segresnet-s",
        "How long the search takes",
        "for 4 trials",
    ):
        assert text in page
    for reference in report["references"]:
        assert re.search(f"<td[^>]*>{reference['name']}</td>", page)


@pytest.mark.slow
def test_a_search_that_spends_hours_is_not_cut_short_by_them(path, tmp_path):
    settings = ["search.budget=hours", "search.hours=0.01"]
    options = [word for setting in settings for word in ("--set", setting)]
    code, text = run(path, tmp_path, "--samples", str(COUNT), *options)
    assert code == 0
    assert re.search(r"simulated\): \d+ trials, 2 side by side", " ".join(text.split()))
    assert "No trial starts after" not in text


def test_the_terminal_gets_distributions_drivers_and_known_networks(path, tmp_path):
    code, text = run(path, tmp_path, "--samples", str(COUNT), "--no-hours")
    assert code == 0
    assert not (tmp_path / "cache").exists()  # costs need no prepared data
    line = next(line for line in text.splitlines() if "parameters" in line and "20 k" in line)
    assert re.search(r"[▁▂▃▄▅▆▇█]", line)
    table = "hybrid-xs", "unet-s", "over: parameters", "of baselines a search trains the size"
    for words in ("lets", "width", *table, "preview.html"):
        assert words in text
    assert "The search takes" not in text


def test_a_budget_that_lets_nothing_through_is_blamed(path, tmp_path):
    options = ("--samples", "8", "--set", "budget.macs=1000", "--set", "search.warm_start=[]")
    code, text = run(path, tmp_path, *options)
    assert code == 1
    assert "no architecture is let through" in text
    assert "budget.macs = 1,000 lets 0.0% through; seen:" in " ".join(text.split())
    report = json.loads((tmp_path / "preview.json").read_text())
    assert report["budget"]["share"] == 0
    assert report["search"] is None


def test_a_latency_sample_is_measured_within_the_budget(path, tmp_path):
    settings = ["latency.seconds=0.1", "budget.latency_ms=1000"]
    options = [word for setting in settings for word in ("--set", setting)]
    code, text = run(path, tmp_path, "--samples", "8", "--no-hours", "--latency", "2", *options)
    assert code == 0
    report = json.loads((tmp_path / "preview.json").read_text())
    assert len(report["latency"]["p50_ms"]) == 2
    assert all(0 < value < 1000 for value in report["latency"]["p50_ms"].values())
    assert report["latency"]["conditions"]["threads"] == 1
    assert report["budget"]["limits"]["latency_ms"]["share"] == 1
    assert "Latency of 2 architectures" in text
    assert "Latency against" in (tmp_path / "preview.html").read_text()


@pytest.mark.slow
def test_latencies_are_measured_on_each_device_that_is_here(path, tmp_path):
    devices = "latency.devices={mine: {}, alike: {backend: eager}, phone: {command: [adb]}}"
    settings = [devices, "latency.seconds=0.1", "budget.latency_ms=1000"]
    options = [word for setting in settings for word in ("--set", setting)]
    code, text = run(path, tmp_path, "--samples", "8", "--no-hours", "--latency", "2", *options)
    assert code == 0
    report = json.loads((tmp_path / "preview.json").read_text())
    assert list(report["latency"]) == ["latency_ms@mine", "latency_ms@alike"]
    for told in report["latency"].values():
        assert len(told["p50_ms"]) == 2
    assert report["budget"]["limits"]["latency_ms@mine"]["share"] == 1
    assert "latency_ms@phone aside, which was not measured." in " ".join(text.split())
    page = (tmp_path / "preview.html").read_text()
    assert "Latency on mine against" in page and "Latency on alike against" in page


def test_the_same_seed_draws_the_same_and_another_one_does_not(path):
    config = read_config(RunConfig, path)
    keys = [point.key for point in draw(config, 20, 3).points]
    assert keys[:9] == [point.key for point in draw(config, 9, 3).points]
    assert keys != [point.key for point in draw(config, 20, 4).points]
    assert all(SPACE.sample(RandomTrial(i), config.space.restrict).stride() == 8 for i in range(9))


def test_a_small_space_is_seen_whole(path):
    only = "space.restrict={width: [4, 6], growth: [1.0], levels: [3], stem_stride: [2], " + (
        "refine: [0], convs: [1], residual: [true], conv: [standard], norm: [batch], "
        "skip: [add], decoder: [residual], prior: [false], anchors: [0, 4], "
        "anchors_head: [pooled], token_stages: [0]}"
    )
    drawn = draw(read_config(RunConfig, path, [only]), 50, 0)
    assert len(drawn.points) == 4
    assert drawn.exhausted


def test_strides_that_the_patch_does_not_suit_are_left_out(path):
    config = read_config(RunConfig, path, ["space.restrict.levels=[3, 4, 5]"])
    assert {point.stride() for point in draw(config, 30, 0).points} == {8}


def test_the_search_finds_the_data_that_the_preview_prepared(seen, path):
    folder, _ = seen
    read = []
    prepare_data(read_config(RunConfig, path).data, folder, lambda *count: read.append(count))
    assert read == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--set", "train.patch=[18, 18, 18]"), r"train\.patch = .*: no network of hybrid"),
        (("--set", "data.path=nowhere"), r"nowhere"),
        (("--set", "resources.cpus=4096"), r"cpus = 4096, gpus = 0, and no machine has that"),
        (("--set", "budget.weights=3"), r"budget\.weights is not a key"),
        (("--set", "search.warm_start=[unett]"), r"'unett' is no preset\. Did you mean unet"),
        (("--latency", "--set", "latency.resources={phone: 1}"), r"latency\.resources names"),
        (
            ("--latency", "--set", "latency.devices={phone: {command: [adb]}}"),
            r"each of latency\.devices \(phone\) is another one",
        ),
        (("--dir", "file/inside"), r"file/inside cannot be made a folder: Not a directory"),
    ],
)
def test_wrong_inputs_are_told(path, tmp_path, monkeypatch, segnas, options, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    told = segnas.refused("preview", path, "--samples", "4", *options)
    assert re.search(problem, " ".join(told.split()))


@pytest.mark.parametrize("options", [("--samples", "0"), ("--seed", "-1"), ("--latency", "none")])
def test_wrong_arguments_are_refused_by_the_parser(path, options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["preview", str(path), *options])
    assert ended.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_a_folder_in_the_place_of_a_configuration_is_told_what_to_do(tmp_path, segnas):
    told = segnas.refused("preview", tmp_path)
    assert f"preview takes a YAML file; segnas init {tmp_path} writes one" in told


def test_an_unknown_configuration_is_told(tmp_path, segnas):
    assert "No such file" in segnas.refused("preview", tmp_path / "none.yaml")
