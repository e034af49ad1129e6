"""The page as a browser shows it."""

import math
import random
import shlex
import shutil
import time
from dataclasses import replace
from functools import partial

import pytest

from nas.pareto.front import front
from nas.pareto.objectives import chance_text, objective
from nas.report.comparison import compare, comparison_page
from nas.report.front_page import front_page
from nas.report.progress import Progress, UnderWay
from nas.report.untrained import Untrained
from nas.study.knob_importance import Importance
from nas.tracking import TrackedRuns
from search_spaces.axes import axes_for
from search_spaces.registry import find_preset, find_space
from search_spaces.space import RandomTrial
from tests.nas.results import flat_result, search_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
OBJECTIVES = ("dice", "params", "latency_ms")
HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ("Anterior", HOSTILE)
record_of = partial(search_record, objectives=OBJECTIVES, classes=CLASSES)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def results():
    """Thirty networks: complete, stopped, rejected, one without latency, many with equal values."""
    rng, space, made = random.Random(1), find_space("hybrid"), []
    for number in range(30):
        architecture = space.sample(RandomTrial(number))
        state = ("complete", "complete", "complete", "stopped", "infeasible")[number % 5]
        trained = state == "complete"
        dice = round(rng.uniform(0.5, 0.9), 2)
        curve = () if state == "infeasible" else tuple(dice * (e + 1) / 8 for e in range(8))
        made.append(
            flat_result(
                number=number,
                key=architecture.key,
                architecture=architecture.to_json(),
                state=state,
                reason=None if trained else f"because of {HOSTILE}",
                dice=dice if trained else None,
                dice_per_class={"Anterior": dice, HOSTILE: math.nan} if trained else {},
                params=rng.randrange(10_000, 100_000, 20_000),
                macs=rng.randrange(10**7, 10**9),
                latency_ms=None if number == 7 else float(rng.randrange(2, 12)),
                epochs=len(curve),
                curve=curve,
            )
        )
    return made


RESULTS = results()
COMPLETE = [result for result in RESULTS if result.state == "complete"]
IMPORTANCES = [
    Importance(name, 18, {"width": 0.7, "norm": 0.3}, frozenset()) for name in OBJECTIVES
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "front.html"
    space = find_space("hybrid")
    record = record_of(
        RESULTS, title=f"search {HOSTILE}", space=space, starts={COMPLETE[0].key: HOSTILE}
    )
    path.write_text(front_page(record, IMPORTANCES))
    return path


@pytest.fixture(scope="module")
def loaded(browser, file):
    """The page of `RESULTS`, opened once, and what it complained of."""
    page, complaints = browser.new_page(viewport={"width": 1280, "height": 900}), []
    listen(page, complaints)
    page.goto(file.as_uri())
    settle(page)
    yield page, complaints
    page.close()


@pytest.fixture
def page(loaded):
    """The page of `RESULTS` without budgets; any complaint or request fails the test."""
    page, complaints = loaded
    resize(page, 1280)
    if page.is_visible("text=Clear budgets"):
        page.click("text=Clear budgets")
    page.select_option("#which", "front")
    settle(page)
    yield page
    assert complaints == []


@pytest.fixture
def opened(browser, tmp_path):
    """Opens HTML, which `front.html` then holds; any complaint or request fails the test."""
    pages, complaints = [], []

    def opened(html, anchor="", folder=tmp_path):
        path = folder / "front.html"
        path.write_text(html)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        pages.append(page)
        listen(page, complaints)
        page.goto(path.as_uri() + anchor)
        settle(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def listen(page, complaints):
    """Collect what a page complains of and what it asks for, itself excepted."""
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    page.on("request", lambda r: r.is_navigation_request() or complaints.append(r.url[:200]))


def listed(page):
    """The keys in the table of networks."""
    return page.locator("#networks tbody .key").all_inner_texts()


def set_slider(page, name, steps):
    """Move a slider down by that many steps of the keyboard."""
    page.focus(f"input[name={name}]")
    for _ in range(steps):
        page.keyboard.press("ArrowLeft")
    settle(page)


def resize(page, width):
    """Make the window as wide; charts follow."""
    if page.viewport_size["width"] != width:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            """() => [...document.querySelectorAll("#planes .plane")]
                .every(plane => plane.plot.width === plane.clientWidth)"""
        )
        settle(page)


def settle(page):
    """Wait until what changed is drawn."""
    page.wait_for_selector("#content[aria-busy=true]", state="detached")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def place(page, cost, key):
    """Where on the screen a network is in a plane."""
    return page.evaluate(
        """([cost, key]) => {
          const plane = document.querySelector(`[data-cost=${cost}]`);
          const {x, y} = plane.plot.places.get(key), box = plane.getBoundingClientRect();
          return [box.x + x, box.y + y];
        }""",
        [cost, key],
    )


def ringed(page, cost, key):
    """Whether a ring is drawn around a network in a plane."""
    return page.evaluate(
        """([cost, key]) => {
          const {over, places} = document.querySelector(`[data-cost=${cost}]`).plot;
          const {x, y} = places.get(key), ratio = window.devicePixelRatio;
          const one = document.createElement("canvas").getContext("2d");
          one.drawImage(over, -Math.round((x + 10) * ratio), -Math.round(y * ratio));
          return one.getImageData(0, 0, 1, 1).data[3] > 0;
        }""",
        [cost, key],
    )


def drawn_members(page, cost):
    """The keys of those that are drawn as the front in a plane."""
    return page.evaluate(
        """cost => document.querySelector(`[data-cost=${cost}]`).plot.spec.groups
          .filter(({look}) => look.front).flatMap(({networks}) => networks.map(({key}) => key))""",
        cost,
    )


def keys(members):
    return [member.key for member in members]


def test_the_cells_of_the_table_stand_under_their_heads(page):
    heads = page.locator("#networks thead th").all_inner_texts()
    rows = page.locator("#networks tbody tr")
    for i, member in enumerate(front(RESULTS, OBJECTIVES)):
        cells = dict(zip(heads, rows.nth(i).locator("td").all_inner_texts(), strict=True))
        assert cells["Key"] == member.key
        assert cells["Dice"] == objective("dice").short(member.dice)
        assert cells["Anterior"] == objective("dice").short(member.dice_per_class["Anterior"])
        for name in ("params", "macs", "latency_ms"):
            assert cells[objective(name).title] == objective(name).short(member.value(name))


def test_the_front_is_the_one_that_python_finds(page):
    assert listed(page) == keys(front(RESULTS, OBJECTIVES))


def test_a_slider_redraws_the_front_under_its_budget(page):
    set_slider(page, "macs", 5)
    limit = sorted(result.costs["macs"] for result in COMPLETE)[-6]
    allowed = [result for result in COMPLETE if result.costs["macs"] <= limit]
    assert len(allowed) == len(COMPLETE) - 5
    assert listed(page) == keys(front(allowed, OBJECTIVES))
    assert page.inner_text("#left").startswith(f"{len(allowed)} networks within the budgets")
    beyond = next(result for result in COMPLETE if result.costs["macs"] > limit)
    page.select_option("#which", "complete")
    page.click(f"#networks .key:text-is('{beyond.key}')")
    assert "outside the budgets: MACs" in page.inner_text("#card")
    page.select_option("#which", "front")
    assert sorted(drawn_members(page, "params")) == sorted(listed(page))
    page.click("text=Clear budgets")
    settle(page)
    assert listed(page) == keys(front(RESULTS, OBJECTIVES))


def test_budgets_hold_together_and_a_floor_for_dice_is_one(page):
    set_slider(page, "latency_ms", 2)
    set_slider(page, "dice", 4)
    known = sorted({r.costs["latency_ms"] for r in COMPLETE if "latency_ms" in r.costs})
    floor = sorted({r.dice for r in COMPLETE})[4]
    allowed = [
        r
        for r in COMPLETE
        if "latency_ms" in r.costs and r.costs["latency_ms"] <= known[-3] and r.dice >= floor
    ]
    assert listed(page) == keys(front(allowed, OBJECTIVES))
    assert page.inner_text("#left").startswith(f"{len(allowed)} networks within the budgets")


@pytest.mark.parametrize("width", [1280, 400])
def test_a_click_on_a_point_opens_its_card(page, width):
    resize(page, width)
    wanted = front(RESULTS, OBJECTIVES)[0].key
    page.locator("[data-cost=params]").scroll_into_view_if_needed()
    x, y = place(page, "params", wanted)
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    card = page.locator("#card")
    assert card.locator("h2").inner_text() == wanted
    assert "on the front" in card.inner_text()
    assert card.locator(".picture .stage").count() > 3
    assert (
        card.locator("#curve")
        .get_attribute("aria-label")
        .startswith("Validation Dice by epoch: 1: 0.")
    )
    assert -1 < card.bounding_box()["y"] < 450  # its head is in the window


def test_a_dominated_network_says_by_whom(page):
    members = front(RESULTS, OBJECTIVES)
    beaten = next(r for r in COMPLETE if r not in members and "latency_ms" in r.costs)
    page.select_option("#which", "complete")
    page.click(f"#networks .key:text-is('{beaten.key}')")
    told = page.locator("#card li .key").all_inner_texts()
    assert told == keys(
        m
        for m in members
        if m.dice >= beaten.dice
        and m.costs["params"] <= beaten.costs["params"]
        and m.costs["latency_ms"] <= beaten.costs["latency_ms"]
    )
    page.click("#card li .key >> nth=0")  # and leads there
    assert page.inner_text("#card h2") == told[0]


def test_a_network_can_be_chosen_from_the_table_by_keyboard_alone(page):
    rows = listed(page)
    page.focus("#networks .sort >> nth=-1")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.inner_text("#card h2") == rows[-1]
    assert page.evaluate("document.activeElement.id") == "card"
    page.keyboard.press("Escape")
    assert page.locator("#card h2").count() == 0
    assert page.evaluate("document.activeElement.textContent") == rows[-1]  # back where it was


def test_every_network_of_a_plane_is_reached_by_keyboard(page):
    page.focus("#by")
    page.keyboard.press("Tab")
    plane = page.locator("[data-cost=params] .points")
    assert page.evaluate("document.activeElement.parentElement.dataset.cost") == "params"
    page.keyboard.press("Home")
    met = []
    for _ in RESULTS:
        met.append(plane.inner_text().partition(":")[0].partition(" ")[0])
        page.keyboard.press("ArrowRight")
    assert set(met) == {r.key for r in RESULTS}
    assert plane.locator("[role=option]").get_attribute("aria-setsize") == str(len(RESULTS))
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    key = plane.inner_text().partition(":")[0].partition(" ")[0]
    assert key in keys(front(RESULTS, OBJECTIVES))
    assert key in page.inner_text("#tip")
    assert ringed(page, "macs", key)  # in the other planes, too
    page.keyboard.press("Enter")
    assert page.inner_text("#card h2") == key
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.parentElement.dataset.cost") == "params"


def test_an_option_lights_the_networks_that_have_it(page):
    button = page.locator("#choices .option >> nth=0")
    told = button.get_attribute("aria-label")
    button.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("#choices .option >> nth=0").get_attribute("aria-pressed") == "true"
    count = int(told.partition(": ")[2].partition(" ")[0])
    assert f"{count} network" in page.inner_text("#left").partition("front.")[2]
    page.click("#lit button")
    settle(page)
    assert "lit" not in page.inner_text("#left")


def test_a_range_is_drawn_along_an_axis_and_chooses_no_network(page):
    chosen = page.inner_text("#card")
    page.locator("#choices").scroll_into_view_if_needed()
    points = page.locator("#choices .points").bounding_box()
    plot = "document.getElementById('choices').plot"
    x = points["x"] + page.evaluate(f"{plot}.xs[0]") + 3  # beside the axis, near lines
    worst = points["y"] + page.evaluate(f"{plot}.lines.at(-1).ys[0]")
    page.mouse.move(x, points["y"] + 60)
    page.mouse.down()
    page.mouse.move(x, worst, steps=4)
    page.mouse.up()
    settle(page)
    assert " to " in page.inner_text("#lit")
    assert page.inner_text("#card") == chosen
    page.mouse.click(x, worst)  # ends it
    settle(page)
    assert "lit" not in page.inner_text("#left")
    assert page.inner_text("#card") == chosen


def test_a_knob_colours_the_networks_in_all_pictures(page):
    page.select_option("#by", "knob norm")
    settle(page)
    entries = page.locator("#legend li").all_inner_texts()
    options = {result.architecture["norm"] for result in COMPLETE}
    assert options <= set(entries)
    page.select_option("#by", "front")
    settle(page)
    assert not options & set(page.locator("#legend li").all_inner_texts())


def test_a_column_sorts_the_table(page):
    page.select_option("#which", "complete")
    head = page.locator("#networks .sort:text-is('MACs')")
    head.click()
    costs = {result.key: result.costs["macs"] for result in COMPLETE}
    assert listed(page) == sorted(costs, key=costs.get)
    assert page.locator("th[aria-sort=ascending]").inner_text() == "MACs"
    page.click("#networks .sort:text-is('MACs')")
    assert listed(page) == sorted(costs, key=costs.get, reverse=True)


def test_the_reader_chooses_light_or_dark(page):
    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert paper() == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert paper() != "rgb(255, 255, 255)"
    page.click("text=Colours: auto")
    assert paper() == "rgb(255, 255, 255)"
    page.click("text=Colours: light")
    page.emulate_media(color_scheme="light")
    assert paper() != "rgb(255, 255, 255)"
    page.click("text=Colours: dark")
    assert paper() == "rgb(255, 255, 255)"


def test_stopped_and_infeasible_candidates_tell_why(page):
    for kind, word in (("stopped", "stopped early"), ("infeasible", "infeasible")):
        page.select_option("#which", kind)
        assert listed(page) == keys(r for r in RESULTS if r.state == kind)
        page.click("#networks .key >> nth=0")
        assert word in page.inner_text("#card")
        assert f"because of {HOSTILE}" in page.inner_text("#card")
        assert -1 < page.locator("#card").bounding_box()["y"] < 450  # the table is far below
        assert ringed(page, "macs", page.inner_text("#card h2"))


def test_importances_are_a_table_whose_knobs_can_be_looked_into(page):
    assert page.locator("#importances tbody .key").all_inner_texts() == ["width", "norm"]
    page.click("#importances .key:text-is('norm')")
    assert page.evaluate("document.querySelector('#effect .plane').plot.spec.x.title") == "norm"


@pytest.mark.parametrize("width", [360, 1280, 2560])
def test_nothing_is_wider_than_the_window(page, width):
    resize(page, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "some",
    [
        [],
        pytest.param(COMPLETE[:1], marks=pytest.mark.slow),
        pytest.param([r for r in RESULTS if r not in COMPLETE], marks=pytest.mark.slow),
    ],
)
def test_a_search_that_has_little_is_shown_too(opened, some):
    record = record_of(some)
    page = opened(front_page(record))
    assert listed(page) == [r.key for r in some if r.state == "complete"]


def test_ticks_that_lie_near_each_other_are_told_apart(opened):
    one = replace(COMPLETE[0], costs={"params": 123_456})
    record = record_of([one], objectives=OBJECTIVES[:2], classes=())
    page = opened(front_page(record))
    ticks = page.evaluate("document.querySelector('[data-cost=params]').plot.spec.x.ticks")
    assert [tick["text"] for tick in ticks] == ["122.5 k", "123 k", "123.5 k", "124 k"]
    heights = page.evaluate("document.querySelector('[data-cost=params]').plot.spec.y.ticks")
    told = [tick["text"] for tick in heights]
    assert len(set(told)) == len(told) > 2


def test_chances_are_a_column_and_in_the_card(opened):
    best = max(COMPLETE, key=lambda result: result.dice)
    again = replace(best, trainings=(best.dice + 0.01, best.dice - 0.01))
    results = [again if result is best else result for result in RESULTS]
    record = record_of(results)
    page = opened(front_page(record))
    heads = page.locator("#networks th").all_inner_texts()
    row = page.locator("#networks tr.chosen td").all_inner_texts()
    told = chance_text(record.chances[best.key]).replace("%", " %")
    assert (row[heads.index("Trainings")], row[heads.index("Chance")]) == ("2", told)
    card = page.locator("#card dl").inner_text()
    assert f"{best.dice + 0.01:.4f}, {best.dice - 0.01:.4f}" in card
    assert told in card


@pytest.mark.slow
def test_it_works_in_a_sandboxed_frame(file, browser):
    """As MLflow's artifact viewer shows it: scripts, but no origin and so no storage."""
    page, complaints = browser.new_page(), []
    listen(page, complaints)
    page.set_content('<iframe sandbox="allow-scripts" width="1200" height="800"></iframe>')
    page.evaluate("text => { document.querySelector('iframe').srcdoc = text }", file.read_text())
    frame = page.frame_locator("iframe")
    frame.locator("#networks tbody .key").first.wait_for()
    assert frame.locator("#card h2").inner_text() in {result.key for result in COMPLETE}
    page.close()
    assert complaints == []


def test_baselines_are_squares_rows_and_cards_and_no_members(opened):
    best = max(COMPLETE, key=lambda result: result.dice)
    beside = []
    for name, dice in (("unet-s", best.dice + 0.05), ("nnunet-s", 0.01)):
        point = find_preset(name)
        costs = {**best.costs, "macs": 2e9, "latency_ms": 50.0}
        record = {"space": "baselines", "key": point.key, "architecture": point.to_json()}
        beside.append(replace(best, **record, dice=dice, costs=costs, baseline=name))
    how = {"method": "distil", "of": best.key, "weights": ""}
    made = replace(best, dice=best.dice + 0.1, compressed=how)  # the architecture of a member
    record = record_of(RESULTS, space=find_space("hybrid"), baselines=beside, compressed=[made])
    page = opened(front_page(record))
    members = [result.key for result in front(RESULTS, OBJECTIVES)]
    assert listed(page) == [*members, *(one.name for one in (*beside, made))]
    assert page.inner_text("#left") == "6 networks within the budgets, 1 on the front."
    assert page.inner_text("#card h2") in members
    page.click("text=Clear budgets")
    settle(page)
    assert page.inner_text("#left") == "1 network on the front."
    assert "baseline" in page.inner_text("#legend")
    assert "unet-s (baseline)" in page.inner_text("#networks")
    squares = page.evaluate(
        """document.querySelector(".plane").plot.spec.groups
          .filter(({look}) => look.mark === "square").flatMap(({networks}) => networks).length"""
    )
    lower = page.evaluate(
        """document.querySelector(".plane").plot.spec.lanes
          .flatMap(({kinds}) => kinds).flatMap(({networks}) => networks.map(({key}) => key))"""
    )
    assert squares == 1
    assert beside[1].key in lower  # its Dice is below what the picture shows
    assert "made smaller after the search" in page.inner_text("#legend")
    for one, name, told in (
        (beside[0], "baseline unet-s", "Better than every network found"),
        (beside[1], "baseline nnunet-s", "Dominated by"),
        (made, f"compressed distil of {best.key}", "Better than every network found"),
    ):
        page.click(f"#networks .key:text-is('{one.name}')")
        card = page.inner_text("#card")
        assert name in card
        assert told in card
        assert f"--pick {one.name}" in card


def test_a_page_of_a_running_search_follows_it_and_the_reader_stays_where_they_are(
    opened, tmp_path
):
    path = tmp_path / "front.html"
    way = Progress(fraction=0.25, written=time.time(), running=[
        UnderWay(name="running-one", epoch=2, epochs=8, dice=0.5)
    ])  # fmt: skip
    space = find_space("hybrid")
    record = record_of(COMPLETE[:5], space=space, progress=way)
    page = opened(front_page(record))
    assert "25 % of the budget" in page.inner_text("#live")
    assert "running-one" in page.inner_text("#running")
    page.select_option("#which", "complete")
    chosen = COMPLETE[3].key
    page.click(f"#networks .key:text-is('{chosen}')")
    set_slider(page, "macs", 1)
    later = replace(record, results=COMPLETE, progress=replace(way, fraction=0.5, running=()))
    path.write_text(front_page(later))
    page.click("text=Pause")
    page.click("text=Follow")  # reads at once
    page.wait_for_function("document.getElementById('live').innerText.includes('50 %')")
    settle(page)
    assert page.inner_text("#card h2") == chosen
    assert sorted(listed(page)) == sorted(keys(COMPLETE))
    assert page.is_visible("text=Clear budgets")
    assert page.is_hidden("#running")
    path.write_text(front_page(replace(record, results=COMPLETE, progress=None)))
    page.click("text=Pause")
    page.click("text=Follow")
    page.wait_for_selector("#live", state="hidden")


def test_a_card_leads_to_the_run_in_mlflow(opened):
    key = COMPLETE[0].key
    address = "http://127.0.0.1:5000/#/experiments/1/runs/"
    for runs, told in (
        (TrackedRuns({key: "0123abcd"}, address), "Open its run"),
        (TrackedRuns({key: "0123abcd"}), "segnas ui SEARCH_DIR"),
    ):
        record = record_of(COMPLETE[:1], runs=runs)
        page = opened(front_page(record), f"#{key}")
        assert told in page.inner_text("#card")
        links = page.locator("#card a")
        assert links.count() == bool(runs.address)
        if runs.address:
            assert links.get_attribute("href") == f"{address}0123abcd"


def test_a_preset_that_was_not_trained_has_a_mark_and_a_card(opened):
    point = find_preset("hybrid-s")
    preset = Untrained(
        name="hybrid-s", space="hybrid", key=point.key, architecture=point.to_json(),
        costs={"params": 50_000.0, "macs": 5e8},
    )  # fmt: skip
    record = record_of(COMPLETE, space=find_space("hybrid"), untrained=[preset])
    page = opened(front_page(record))
    assert "preset, not trained" in page.inner_text("#legend")
    page.locator("[data-cost=params]").scroll_into_view_if_needed()
    page.mouse.click(*place(page, "params", point.key))
    assert page.inner_text("#card h2") == point.key
    assert "not trained in this search · preset hybrid-s" in page.inner_text("#card")


def test_members_that_lie_dense_are_all_seen(opened):
    one = COMPLETE[0]
    results = [
        replace(one, key=f"{n:010}", number=n, dice=0.5 + n / 1000, costs={"params": 1000.0 + n})
        for n in range(300)
    ]
    page = opened(front_page(record_of(results, objectives=OBJECTIVES[:2], classes=())))
    colours = page.evaluate(
        """() => {
          const {base, places} = document.querySelector("[data-cost=params]").plot;
          const {width, height} = base, ratio = window.devicePixelRatio;
          const ink = base.getContext("2d").getImageData(0, 0, width, height).data;
          return [...places.values()].filter(({front}) => front).map(({x, y}) => {
            const at = 4 * (Math.floor(y * ratio) * width + Math.floor(x * ratio));
            return [...ink.slice(at, at + 4)].join();
          });
        }"""
    )
    assert len(colours) > 70
    assert set(colours) == {"0,114,178,255"}


def test_a_stopped_network_that_was_ahead_lies_within_the_plane(opened):
    ahead = replace(COMPLETE[0], key="ahead", state="stopped", dice=None, curve=(0.5, 0.97))
    page = opened(front_page(record_of([*COMPLETE, ahead], classes=())))
    top, y = page.evaluate(
        """() => {
          const {box, places} = document.querySelector("[data-cost=params]").plot;
          return [box.top, places.get("ahead").y];
        }"""
    )
    assert y > top


def test_the_page_in_its_folder_says_how_a_network_is_taken_and_what_is_left_out(opened, tmp_path):
    weak = replace(COMPLETE[0], key="weak", dice=0.1, costs={**COMPLETE[0].costs, "params": 1.0})
    words = "a structure whose name goes on and on"
    classes = (f"{words} and on and on", "whole_in_one_word_of_very_many_letters_without_a_blank")
    results = [
        replace(one, dice_per_class=dict.fromkeys(classes, one.dice)) for one in (*COMPLETE, weak)
    ]
    folder = tmp_path / "a search's"
    folder.mkdir()
    for in_folder in (True, False):
        html = front_page(record_of(results, classes=classes), in_folder=in_folder)
        page = opened(html, folder=folder)
        key = page.inner_text("#card h2")
        where = shlex.quote(str(folder)) if in_folder else "SEARCH_DIR"
        assert f"segnas export {where} --pick {key} --to OUT" in page.inner_text("#card")
    assert "1 member below Dice 0.7" in page.inner_text("#left")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(".bar > span:first-child, #networks th")]
          .filter(one => one.scrollWidth > one.clientWidth + 1 || one.clientWidth > 250)
          .map(one => one.textContent)"""
    )
    assert cut == []
    page.click("text=Clear budgets")
    settle(page)
    assert "left out" not in page.inner_text("#left")


def test_two_fronts_stand_in_the_same_planes(opened):
    settings = {"data": {"split": {}}}
    one, other = (record_of(results, settings=settings) for results in (COMPLETE[:9], COMPLETE[9:]))
    comparison = compare({HOSTILE: one, "other": other}, ["dice", "params"])
    page = opened(comparison_page(comparison))
    members = [f"{name}/{m.key}" for name, found in comparison.fronts.items() for m in found]
    assert sorted(drawn_members(page, "params")) == sorted(members)
    assert page.locator("#networks tbody tr").count() == len(members)
    assert page.locator("#searches tbody tr td:first-child").all_inner_texts() == [HOSTILE, "other"]
    beaten = sum(
        comparison.is_beaten(n, m) for n, found in comparison.fronts.items() for m in found
    )
    assert page.locator("#networks td:last-child").all_inner_texts().count("yes") == beaten > 0
    page.click("#networks .key >> nth=1")
    assert page.locator("#networks tr.chosen").count() == 1
    assert "same network" not in page.inner_text("#networks")
    runs = TrackedRuns({one.members[0].name: "0123"}, "http://server/#/experiments/1/runs/")
    twice = compare({"one": replace(one, runs=runs), "two": one}, ["dice", "params"])
    page = opened(comparison_page(twice))
    assert page.locator("text=two (the same network in one)").count() == len(twice.fronts["two"])
    assert page.get_attribute("text=its run", "href") == f"{runs.address}0123"
    page.set_viewport_size({"width": 390, "height": 844})  # a plane below the other
    assert page.locator(".plane >> nth=0").bounding_box()["width"] > 300


def test_a_picture_tells_the_resolution_of_each_axis_where_they_differ(opened):
    thick = find_preset("hybrid-s").with_axes(axes_for((1.5, 1.5, 10.0), (64, 64, 8)))
    result = flat_result(key=thick.key, architecture=thick.to_json(), dice=0.8, params=1000)
    record = record_of(
        [result], objectives=("dice", "params"), classes=(), space=find_space("hybrid")
    )
    page = opened(front_page(record))
    page.click(f"#networks .key:text-is('{thick.key}')")
    rows = page.locator(".picture > span").all_inner_texts()
    told = [row.split(" \N{MULTIPLICATION SIGN} ") for row in rows]
    assert told == [["1"], ["1/2", "1/2", "1"], ["1/4", "1/4", "1"], ["1/8", "1/8", "1/2"]]
