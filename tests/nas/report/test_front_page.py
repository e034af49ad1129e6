import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import ClassVar

import pytest
from rich.console import Console

from nas.cli.main import main
from nas.pareto.front_files import Front, front_csv, front_json, read_front
from nas.pareto.objectives import chance_text, objective, short_number
from nas.report.architecture_text import compact
from nas.report.front_page import front_page
from nas.report.progress import Progress, UnderWay
from nas.report.search_record import SearchRecord
from nas.report.terminal_tables import front_table, left_out
from nas.report.untrained import Untrained, kept_untrained, read_untrained
from nas.report.write_front import write_front
from nas.tracking import TrackedRuns
from search_spaces.axes import axes_for
from search_spaces.compressed import Compressed
from search_spaces.hybrid import Hybrid
from search_spaces.registry import find_preset, find_space
from tests.nas.parts import training_costs
from tests.nas.probers import latency
from tests.nas.results import flat_result
from tests.nas.small_run import config

OBJECTIVES = ("dice", "params", "latency_ms")
CLASSES = ("Anterior", "Posterior")


def result(key, dice, params, latency_ms=5.0, **changes):
    values = {
        "architecture": {"width": 16, "tokens": [{"prune": 0.5}]},
        "dice_per_class": {"Anterior": 0.91, "Posterior": 0.79},
        "macs": 410_000_000,
        "memory": 300_000_000,
        "device": "cpu",
        "epochs": 10,
    }
    return flat_result(
        key=key, dice=dice, params=params, latency_ms=latency_ms, **(values | changes)
    )


RESULTS = [
    result("large", 0.90, 1_240_000, 8.7),
    result("small", 0.85, 12_300, 2.0),
    result("beaten", 0.84, 50_000, 9.0),
    result("refused", None, 9_000_000, state="infeasible", reason="over budget"),
]


def embedded_data(html):
    start = html.index('id="data">') + len('id="data">')
    return json.loads(html[start : html.index("</script>", start)])


def record(results=RESULTS, objectives=OBJECTIVES, title="hippocampus", classes=CLASSES, **more):
    return SearchRecord(
        results=results, objectives=objectives, title=title, classes=classes, **more
    )


def page(*values, **named):
    """The data that the page's scripts draw from, for a record of these values."""
    return embedded_data(front_page(record(*values, **named)))


def test_the_page_holds_every_network_with_its_costs():
    networks = {network["key"]: network for network in page()["networks"]}
    assert list(networks) == ["large", "small", "beaten", "refused"]
    assert networks["small"]["dice"] == 0.85
    assert networks["small"]["perClass"] == [0.91, 0.79]
    assert networks["small"]["costs"] == {
        "params": 12_300,
        "macs": 410_000_000,
        "memory": 300_000_000,
        "latency_ms": 2.0,
    }
    assert networks["refused"]["reason"] == "over budget"


def test_the_caption_counts_what_became_of_the_candidates():
    assert page()["caption"].startswith(
        "2 of 3 trained networks are the front: none is better in one of Dice, parameters, latency "
        "and as good in the others. 1 candidate found infeasible."
    )


def test_a_cost_that_nobody_knows_has_no_plot():
    blind = [result("a", 0.9, 10, latency_ms=None, memory=None)]
    assert page(blind, ("dice", "params"))["costs"] == ["params", "macs"]


def test_everything_from_the_data_is_escaped():
    attack = "</script><script>alert(1)</script>"
    measured = latency(5.0).to_json()
    measured["conditions"]["device"] = attack
    results = [
        result(attack, 0.9, 10, latency=measured, architecture={attack: attack}),
        result("other", 0.1, 100, architecture={attack: "other"}),
    ]
    html = front_page(record(results, OBJECTIVES, attack, [attack]))
    assert attack not in html
    assert "<script>alert" not in html
    data = embedded_data(html)
    assert data["classes"] == [attack]
    assert data["knobs"] == [{"name": attack, "options": [attack, "other"]}]


def test_what_is_no_number_is_null_or_says_why():
    nan = float("nan")
    strange = result("a", 0.9, 10, dice_per_class={"Anterior": nan}, curve=(nan, 0.5))
    [network] = page([strange])["networks"]
    assert network["perClass"] == ["in no validation case", None]
    assert network["curve"] == [None, 0.5]


def test_the_page_needs_nothing_from_outside():
    html = front_page(record())
    assert "drawPlane" in html  # its scripts are inside
    sources = Sources()
    sources.feed(html)
    assert sources.found == []


class Sources(HTMLParser):
    """What a page would load."""

    found: ClassVar[list[str]] = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("results", [[], RESULTS[3:], RESULTS[:1]])
def test_a_search_with_little_or_nothing_has_a_page(results):
    data = page(results)
    assert len(data["networks"]) == len(results)
    members = sum(r.state == "complete" for r in results)
    told = "1 of 1 trained network is the front" if members else "No network has been trained to"
    assert data["caption"].startswith(told)
    assert data["knobs"] == []


def test_knobs_that_vary_have_axes_and_those_not_asked_for_no_place():
    space = find_space("hybrid")
    without, with_tokens = (find_preset(name) for name in ("hybrid-xs", "hybrid-tokens"))
    results = [of(without, 0.8), of(with_tokens, 0.9)]
    data = page(results, space=space)
    names = [knob["name"] for knob in data["knobs"]]
    assert names[:2] == ["width", "growth"]  # as the space declares them
    assert data["knobs"][0]["options"] == ["6", "12"]
    assert "levels" not in names  # both have three
    stages = names.index("token_stages")
    assert [network["knobs"][stages] for network in data["networks"]] == [0, 1]


def test_a_knob_that_was_not_asked_for_has_no_place():
    space = find_space("hybrid")
    full, half = Hybrid(stem_stride=1), Hybrid(refine=8)
    data = page([of(full, 0.8), of(half, 0.9), of(Hybrid(refine=0), 0.7)], space=space)
    refine = [knob["name"] for knob in data["knobs"]].index("refine")
    assert data["knobs"][refine]["options"] == ["0", "8"]
    assert [network["knobs"][refine] for network in data["networks"]] == [-1, 1, 0]


def test_a_preset_is_named_and_so_is_a_warm_start():
    preset, start = find_preset("hybrid-s"), Hybrid(width=4)
    data = page(
        [of(preset, 0.8), of(start, 0.7)],
        space=find_space("hybrid"),
        starts={start.key: "unet-s"},
    )
    assert [network["name"] for network in data["networks"]] == [
        {"text": "hybrid-s", "kind": "preset"},
        {"text": "unet-s", "kind": "baseline"},
    ]


def test_a_record_of_another_version_is_shown_by_its_values_and_without_a_picture():
    odd = result("a", 0.9, 10, architecture={"depth": 3, "tokens": [{"prune": 0.5}]})
    data = page([odd, result("b", 0.8, 5, architecture={"depth": 4})], space=find_space("hybrid"))
    assert data["knobs"] == [{"name": "depth", "options": ["3", "4"]}]
    assert [network["picture"] for network in data["networks"]] == [None, None]
    assert data["networks"][0]["text"] == "depth 3, tokens (prune 0.5)"


def test_networks_that_look_alike_share_a_picture():
    space = find_space("hybrid")
    data = page([of(Hybrid(), 0.8), of(Hybrid(norm="batch"), 0.9)], space=space)
    assert [network["picture"] for network in data["networks"]] == [0, 0]
    assert len(data["pictures"]) == 1


def test_where_axes_differ_a_network_keeps_its_presets_name_and_shows_the_resolution_of_each():
    thick = find_preset("hybrid-s").with_axes(axes_for((1.5, 1.5, 10.0), (64, 64, 8)))
    data = page([of(thick, 0.8), of(find_preset("hybrid-s"), 0.7)], space=find_space("hybrid"))
    thin, cube = data["networks"]
    assert thin["key"] != cube["key"]
    assert thin["name"] == cube["name"] == {"text": "hybrid-s", "kind": "preset"}
    shown = [stage["divisors"] for stage in data["pictures"][thin["picture"]]]
    assert shown[:3] == [[2, 2, 1], [4, 4, 1], [8, 8, 2]]
    assert not any(stage["divisors"] for stage in data["pictures"][cube["picture"]])


def of(architecture, dice):
    return result(architecture.key, dice, 1000, architecture=architecture.to_json())


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (12_345, "12.3 k"), (999_999, "1 M"), (4.1e8, "410 M"), (None, "—")],
)
def test_numbers_are_for_people(value, text):
    assert short_number(value) == text


def test_units_stand_behind_the_number():
    assert short_number(8.74, "ms") == "8.74 ms"
    assert short_number(1010 * 2**20, "B", 1024) == "1010 MiB"  # and not 1.01e+03
    assert objective("latency_ms").exact(12_345.6) == "12350 ms"
    assert objective("latency_ms").short(1020) == "1020 ms"  # and not 1.02 kms
    assert page()["formats"]["latency_ms"]["prefixes"] == []


def test_a_chance_is_no_certainty():
    assert [chance_text(one) for one in (0.714, 0.997, 0.003, 1.0)] == [
        "71%",
        ">99%",
        "<1%",
        "100%",
    ]


def test_an_architecture_is_readable_on_one_line():
    architecture = {"width": 16, "blocks": (1, 2), "tokens": [{"gate": "both"}, {"gate": "none"}]}
    assert compact(architecture) == "width 16, blocks 1/2, tokens (gate both) (gate none)"


def test_the_three_files_are_written_whole(tmp_path):
    write_front(tmp_path, record())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "front.csv",
        "front.html",
        "front.json",
    ]
    written = json.loads((tmp_path / "front.json").read_text())
    assert [member["key"] for member in written["members"]] == ["small", "large"]


UNET = find_preset("unet-s")
UNTRAINED = [
    Untrained(name=name, space=point.space, key=point.key, architecture=point.to_json(),
              costs={"params": 1000, "macs": 10**6})
    for name, point in (("unet-s", UNET), ("hybrid-s", find_preset("hybrid-s")))
]  # fmt: skip


def test_presets_that_were_not_trained_are_shown_by_their_costs_alone():
    data = page(untrained=UNTRAINED, space=find_space("hybrid"))
    *found, unet, hybrid = data["networks"]
    assert [network["key"] for network in found] == ["large", "small", "beaten", "refused"]
    assert unet["name"] == {"text": "unet-s", "kind": "baseline"}
    assert hybrid["name"] == {"text": "hybrid-s", "kind": "preset"}
    assert {network["state"] for network in (unet, hybrid)} == {"untrained"}
    assert (hybrid["dice"], hybrid["costs"]["macs"], hybrid["costs"]["latency_ms"]) == (
        None, 10**6, None,
    )  # fmt: skip
    assert data["pictures"][hybrid["picture"]][0]["channels"] == find_preset("hybrid-s").width
    assert data["caption"] == page()["caption"]


def test_a_preset_that_was_trained_is_shown_once():
    trained = of(find_preset("hybrid-s"), 0.8)
    data = page([trained], untrained=UNTRAINED, space=find_space("hybrid"), baselines=[baseline()])
    assert [network["state"] for network in data["networks"]] == ["complete", "baseline"]


def test_presets_are_counted_once_and_read_back(tmp_path):
    run = config(train={"patch": [16, 16, 16]})
    counting = training_costs(run, channels=1, classes=3)
    space = find_space("lightmedseg")
    found = kept_untrained(tmp_path, space, counting)
    counted = {one.name: one.costs for one in found}
    assert counted["unet-s"] == counting.work(UNET)
    assert kept_untrained(tmp_path, space, None) == found == read_untrained(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "a"}]', '[{"space": "none"}]'])
def test_a_damaged_file_of_presets_is_none(tmp_path, text):
    (tmp_path / "presets.json").write_text(text)
    assert read_untrained(tmp_path) == []


def test_a_page_says_how_far_its_search_is_and_no_more_when_it_has_ended():
    way = UnderWay(name="abc", epoch=3, epochs=10, dice=0.5)
    running = Progress(fraction=0.25, written=1000.0, running=[way])
    assert page(progress=running)["progress"] == {
        "fraction": 0.25,
        "written": 1000.0,
        "running": [{"name": "abc", "epoch": 3, "epochs": 10, "dice": 0.5}],
    }
    assert page()["progress"] is None


def test_a_network_leads_to_its_run():
    runs = TrackedRuns({"small": "0123"}, "http://server/#/experiments/1/runs/")
    data = page(runs=runs)
    assert data["runs"] == "http://server/#/experiments/1/runs/"
    assert {network["key"]: network["run"] for network in data["networks"]} == {
        "large": None, "small": "0123", "beaten": None, "refused": None,
    }  # fmt: skip


def luminance(colour):
    """Relative, of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("place", "scheme"), [(0, "light"), (1, "dark")])
def test_texts_and_marks_stand_out_from_the_paper(place, scheme):
    html = front_page(record())
    pairs = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", html)
    tokens = {name: colours[place] for name, *colours in pairs}
    for paper in ("paper", "faint"):
        for text in ("ink", "soft", "front", "named"):
            assert contrast(tokens[text], tokens[paper]) >= 4.5, (text, paper)
    assert contrast(tokens["chosen"], tokens["paper"]) >= 4.5  # an option that is lit
    for mark in ("other", "edge"):
        assert contrast(tokens[mark], tokens["paper"]) >= 3, mark
    for name in ("RAMPS", "SETS"):
        told = re.search(rf"{name} = {{.*?{scheme}: \[(.*?)\]", html, re.DOTALL)
        colours = re.findall(r"#\w{6}", told[1])
        assert len(colours) >= 4
        assert all(contrast(colour, tokens["paper"]) >= 3 for colour in colours), colours


def test_front_json_has_what_a_program_needs():
    written = front_json(Front(members=[RESULTS[1]], objectives=OBJECTIVES))
    assert written["objectives"] == ["dice", "params", "latency_ms"]
    assert written["members"] == [
        {
            "key": "small",
            "dice": 0.85,
            "params": 12_300,
            "macs": 410_000_000,
            "memory": 300_000_000,
            "latency_ms": 2.0,
            "architecture": {"width": 16, "tokens": [{"prune": 0.5}]},
            "dice_per_class": {"Anterior": 0.91, "Posterior": 0.79},
            "number": 0,
            "epochs": 10,
            "device": "cpu",
            "latency": None,
        }
    ]


REPEATED = [
    result("large", 0.88, 1_240_000, 8.7, trainings=(0.9, 0.86)),
    result("small", 0.85, 12_300, 2.0),
]


def test_trainings_and_chances_are_in_the_files_and_read_back(tmp_path):
    found = record(REPEATED)
    write_front(tmp_path, found)
    small, large = json.loads((tmp_path / "front.json").read_text())["members"]
    assert (small["chance"], large["chance"]) == (found.chances["small"], found.chances["large"])
    assert (large["trainings"], "trainings" in small) == ([0.9, 0.86], False)
    front = read_front(tmp_path)
    assert front.chances == found.chances
    assert [member.trainings for member in front.members] == [(), (0.9, 0.86)]
    rows = list(csv.DictReader((tmp_path / "front.csv").open()))
    assert [row["trainings"] for row in rows] == ["1", "2"]
    assert [float(row["chance"]) for row in rows] == [small["chance"], large["chance"]]


def test_the_page_tells_the_chances_and_how_to_read_them():
    data = page(REPEATED)
    large, small = data["networks"]
    assert (large["trainings"], small["trainings"]) == ([0.9, 0.86], [])
    assert large["chance"] == record(REPEATED).chances["large"]
    assert "1 network was trained again with other seeds: Dice is the mean." in data["caption"]
    plain = page()
    assert {network["chance"] for network in plain["networks"]} == {None}
    assert "again" not in plain["caption"]


def test_the_terminal_has_chances_where_there_are_any():
    found, console = record(REPEATED), Console(width=120, file=io.StringIO())
    console.print(front_table(found.front))
    shown = console.file.getvalue()
    assert chance_text(found.chances["large"]) in shown
    assert "0.8800 ×2" in shown  # noqa: RUF001
    assert "0.8500 ×" not in shown  # noqa: RUF001
    plain = Front(members=found.members, objectives=OBJECTIVES)
    assert "chance" not in [column.header for column in front_table(plain).columns]


def test_a_narrow_terminal_cuts_off_no_figure():
    console = Console(width=50, file=io.StringIO())
    console.print(front_table(record().front))
    shown = console.file.getvalue()
    assert "…" not in shown
    assert all(word in shown for word in ("0.9000", "1.24", "410", "286", "8.7"))


def test_a_command_below_a_narrow_table_can_be_copied(tmp_path, monkeypatch, capsys):
    front = record([*RESULTS, result("tiny", 0.2, 300, 0.5)]).front
    monkeypatch.setattr("nas.pareto.front_files.read_front", lambda _: front)
    folder = tmp_path / "a-folder-whose-name-is-longer-than-the-table-of-its-front-is-wide-at-all"
    assert main(["front", str(folder), "--within", "params<=1e9"]) == 0
    command = f"segnas front {folder} --within 'params<=1e9' --all"
    assert f"\n1 more below Dice 0.8100: {command}\n" in capsys.readouterr().out
    assert main(["front", str(folder), "--all"]) == 0
    assert "more below" not in capsys.readouterr().out


def test_what_is_below_the_reference_is_counted_and_shown_on_demand():
    tiny = result("tiny", 0.2, 300, 0.5)
    found = record([*RESULTS, tiny])
    console = Console(width=120, file=io.StringIO())
    console.print(front_table(found.front))
    assert "tiny" not in console.file.getvalue()
    assert "1 more below Dice 0.8100\n" in re.sub(" +\n", "\n", console.file.getvalue())
    told = left_out(found.front, "segnas front runs/one")
    assert told == "1 more below Dice 0.8100: segnas front runs/one --all"
    assert left_out(record().front, "segnas front runs/one") == ""
    console.print(front_table(found.front, whole=True))
    assert "tiny" in console.file.getvalue()
    assert page([*RESULTS, tiny])["reference"] == pytest.approx(0.81)
    assert "tiny" in [row["key"] for row in front_json(found.front)["members"]]


def test_a_class_without_a_dice_is_null():
    nan = result("a", 0.9, 10, dice_per_class={"Anterior": float("nan")})
    [member] = front_json(Front(members=[nan], objectives=OBJECTIVES))["members"]
    assert member["dice_per_class"] == {"Anterior": None}


def test_front_csv_reads_back():
    front = Front(members=[RESULTS[1]], objectives=OBJECTIVES)
    [row] = csv.DictReader(io.StringIO(front_csv(front)))
    assert (row["key"], row["dice"], row["dice_Posterior"]) == ("small", "0.85", "0.79")
    assert json.loads(row["architecture"]) == {"width": 16, "tokens": [{"prune": 0.5}]}


def baseline(dice=0.88):
    point = find_preset("unet-s")
    return result(
        point.key, dice, 2_000_000, 30.0, space="baselines", baseline="unet-s", number=0,
        architecture=point.to_json(),
    )  # fmt: skip


def test_baselines_stand_apart_in_front_json_where_old_readers_do_not_look(tmp_path):
    write_front(tmp_path, record(baselines=[baseline()]))
    written = json.loads((tmp_path / "front.json").read_text())
    assert [member["key"] for member in written["members"]] == ["small", "large"]
    [beside] = written["baselines"]
    assert (beside["baseline"], beside["space"], beside["dice"]) == ("unet-s", "baselines", 0.88)
    front = read_front(tmp_path)
    assert [member.key for member in front.members] == ["small", "large"]
    assert front.objectives == OBJECTIVES
    assert front.baselines == [baseline()]
    assert front.baselines[0].network() == find_preset("unet-s")


def test_baselines_are_the_last_rows_of_front_csv():
    found = Front(members=[RESULTS[1]], objectives=OBJECTIVES, baselines=[baseline()])
    rows = list(csv.DictReader(io.StringIO(front_csv(found))))
    assert [(row["key"], row["baseline"]) for row in rows] == [
        ("small", ""),
        (find_preset("unet-s").key, "unet-s"),
    ]
    assert "baseline" not in front_csv(Front(members=[RESULTS[1]], objectives=OBJECTIVES))


def test_baselines_are_on_the_page_and_not_among_the_networks_found():
    data = page(RESULTS, baselines=[baseline()])
    assert [network["state"] for network in data["networks"][:-1]] == [r.state for r in RESULTS]
    beside = data["networks"][-1]
    assert (beside["state"], beside["dice"]) == ("baseline", 0.88)
    assert beside["name"] == {"text": "unet-s", "kind": "baseline"}
    assert beside["picture"] is not None
    assert data["caption"].startswith("2 of 3 trained networks are the front")
    assert (
        "The front is better than every baseline at its cost: unet-s (Dice 0.8800)."
        in data["caption"]
    )
    assert data["knobs"] == page(RESULTS)["knobs"]


def compressed(dice=0.95):
    """One that is better than all members, made of the smaller of them."""
    point = Compressed(original=find_preset("hybrid-s"), kept=(("levels.0.neurons", 4),))
    how = {"method": "prune", "of": "small", "weights": "0123456789"}
    return result(
        point.key, dice, 500, 3.0, space="compressed", compressed=how, architecture=point.to_json()
    )


def test_compressed_networks_stand_apart_in_front_json_with_what_they_were_made_of(tmp_path):
    write_front(tmp_path, record(baselines=[baseline()], compressed=[compressed()]))
    written = json.loads((tmp_path / "front.json").read_text())
    assert [member["key"] for member in written["members"]] == ["small", "large"]
    [beside] = written["compressed"]
    assert (beside["compressed"]["method"], beside["compressed"]["of"]) == ("prune", "small")
    assert "compressed" not in written["baselines"][0] | written["members"][0]
    front = read_front(tmp_path)
    assert (front.baselines, front.compressed) == ([baseline()], [compressed()])
    assert front.compressed[0].network().key == compressed().key
    rows = list(csv.DictReader((tmp_path / "front.csv").open()))
    told = [(row["baseline"], row["compressed"]) for row in rows]
    assert told == [("", ""), ("", ""), ("unet-s", ""), ("", "prune of small")]


def test_compressed_networks_are_on_the_page_and_change_nothing_of_what_was_found():
    data = page(RESULTS, baselines=[baseline()], compressed=[compressed()])
    beside = data["networks"][-1]
    assert (beside["state"], beside["dice"]) == ("compressed", 0.95)
    assert beside["key"] == f"{compressed().key}-prune"
    assert beside["name"] == {"text": "prune of small", "kind": "compressed"}
    assert beside["picture"] is not None
    found = page(RESULTS, baselines=[baseline()])
    assert data["networks"][:-1] == found["networks"]
    assert data["knobs"] == found["knobs"]
    assert (
        "The front is better than every baseline at its cost: unet-s (Dice 0.8800)."
        in data["caption"]
    )
    assert "made from it after the search" in data["caption"]


def test_a_compressed_network_is_a_marked_row_of_the_terminal_s_table():
    shown = Front(members=[RESULTS[1]], objectives=OBJECTIVES, compressed=[compressed()])
    console = Console(file=io.StringIO(), width=200)
    console.print(front_table(shown))
    assert f"{compressed().key}-prune: prune of small" in console.file.getvalue()


def test_the_page_tells_under_which_conditions_latency_was_measured():
    measured = result("a", 0.9, 10, latency=latency(5.0).to_json())
    text = "Latency is the median of one pass: a machine (Linux), 1 thread, fp32, eager"
    assert text in page([measured])["conditions"]


def test_importances_are_on_the_page_once_they_were_worked_out(tmp_path):
    results = [
        result(str(i), 0.5 + i % 3 / 10, 100 + i, architecture={"width": i % 3}) for i in range(12)
    ]
    found = record(results)
    write_front(tmp_path, found)
    before = embedded_data((tmp_path / "front.html").read_text())["importances"]
    assert before["text"] == "This is worked out once the search has ended."
    assert before["rows"] == []
    write_front(tmp_path, found, found.importances)
    importances = embedded_data((tmp_path / "front.html").read_text())["importances"]
    assert importances["objectives"] == list(OBJECTIVES)
    [row] = importances["rows"]  # the architectures differ in one choice, which decides the Dice
    assert (row["knob"], row["cells"][0]) == ("width", {"share": 1.0, "noise": False})
