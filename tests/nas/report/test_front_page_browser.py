"""The page as a browser shows it."""

import math
import random
import shutil
from dataclasses import replace

import pytest

from nas.pareto.front import front
from nas.pareto.objectives import objective
from nas.report.front_page import front_page
from nas.report.search_record import SearchRecord
from nas.study.knob_importance import Importance
from search_spaces.axes import axes_for
from search_spaces.registry import find_preset, find_space
from search_spaces.space import RandomTrial
from tests.nas.results import flat_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
OBJECTIVES = ("dice", "params", "latency_ms")
HOSTILE = "<img src=x onerror=alert(1)>"
CLASSES = ("Anterior", HOSTILE)

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
    record = SearchRecord(
        results=RESULTS,
        objectives=OBJECTIVES,
        title=f"search {HOSTILE}",
        classes=CLASSES,
        space=space,
        starts={COMPLETE[0].key: HOSTILE},
    )
    path.write_text(front_page(record, IMPORTANCES))
    return path


@pytest.fixture(scope="module")
def loaded(browser, file):
    """The page of `RESULTS`, opened once, and what it complained of."""
    page, complaints = browser.new_page(viewport={"width": 1280, "height": 900}), []
    listen(page, complaints)
    page.goto(file.as_uri())
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
                .every(plane => Math.abs(plane._fullLayout.width - plane.clientWidth) < 1)"""
        )
        settle(page)


def settle(page):
    """Wait until what changed is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def place(page, cost, key):
    """Where on the screen a network is in a plane."""
    return page.evaluate(
        """([cost, key]) => {
          const plane = document.querySelector(`[data-cost=${cost}]`);
          const [x, y] = plane.places.get(key), l = plane._fullLayout;
          const box = plane.getBoundingClientRect();
          return [box.x + l._size.l + l.xaxis.d2p(x), box.y + l._size.t + l.yaxis.d2p(y)];
        }""",
        [cost, key],
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
    drawn = page.evaluate("document.querySelector('[data-cost=params]').data[5].customdata")
    assert sorted(drawn) == sorted(listed(page))
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
    assert card.locator("#curve .scatter").count() == 1
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


def test_a_network_can_be_chosen_by_keyboard_alone(page):
    page.focus("#which")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.inner_text("#card h2") == listed(page)[0]
    assert page.evaluate("document.activeElement.id") == "card"


def test_stopped_and_rejected_candidates_tell_why(page):
    for kind, word in (("stopped", "stopped early"), ("infeasible", "rejected")):
        page.select_option("#which", kind)
        assert listed(page) == keys(r for r in RESULTS if r.state == kind)
        page.click("#networks .key >> nth=0")
        assert word in page.inner_text("#card")
        assert f"because of {HOSTILE}" in page.inner_text("#card")
        assert -1 < page.locator("#card").bounding_box()["y"] < 450  # the table is far below
        chosen = page.inner_text("#card h2")
        plane = page.evaluate(
            "document.querySelector('[data-cost=macs]').data.map(t => t.customdata)"
        )
        assert [keys for keys in plane if keys == [chosen]] == [[chosen]]  # the ring around it


def test_importances_are_a_table_whose_knobs_can_be_looked_into(page):
    assert page.locator("#importances tbody .key").all_inner_texts() == ["width", "norm"]
    page.click("#importances .key:text-is('norm')")
    title = page.evaluate("document.querySelector('#effect .plane')._fullLayout.xaxis.title.text")
    assert title == "norm"


@pytest.mark.parametrize("width", [1280, 400])
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
def test_a_search_that_has_little_is_shown_too(browser, tmp_path, some):
    path = tmp_path / "front.html"
    record = SearchRecord(results=some, objectives=OBJECTIVES, title="small", classes=CLASSES)
    path.write_text(front_page(record))
    page, complaints = browser.new_page(), []
    listen(page, complaints)
    page.goto(path.as_uri())
    assert listed(page) == [r.key for r in some if r.state == "complete"]
    page.close()
    assert complaints == []


def test_chances_are_a_column_and_in_the_card(browser, tmp_path):
    path = tmp_path / "front.html"
    best = max(COMPLETE, key=lambda result: result.dice)
    again = replace(best, trainings=(best.dice + 0.01, best.dice - 0.01))
    results = [again if result is best else result for result in RESULTS]
    record = SearchRecord(results=results, objectives=OBJECTIVES, title="t", classes=CLASSES)
    path.write_text(front_page(record))
    page, complaints = browser.new_page(), []
    listen(page, complaints)
    page.goto(path.as_uri())
    heads = page.locator("#networks th").all_inner_texts()
    row = page.locator("#networks tr.chosen td").all_inner_texts()
    told = f"{math.floor(100 * record.chances[best.key] + 0.5)} %"
    assert (row[heads.index("Trainings")], row[heads.index("Chance")]) == ("2", told)
    card = page.locator("#card dl").inner_text()
    assert f"{best.dice + 0.01:.4f}, {best.dice - 0.01:.4f}" in card
    assert told in card
    page.close()
    assert complaints == []


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


def test_baselines_are_squares_rows_and_cards_and_no_members(browser, tmp_path):
    best = max(COMPLETE, key=lambda result: result.dice)
    beside = []
    for name, dice in (("unet-s", best.dice + 0.05), ("nnunet-s", 0.01)):
        point = find_preset(name)
        costs = {**best.costs, "macs": 2e9, "latency_ms": 50.0}
        record = {"space": "baselines", "key": point.key, "architecture": point.to_json()}
        beside.append(replace(best, **record, dice=dice, costs=costs, baseline=name))
    how = {"method": "distil", "of": best.key, "weights": ""}
    made = replace(best, dice=best.dice + 0.1, compressed=how)  # the architecture of a member
    record = SearchRecord(
        results=RESULTS,
        objectives=OBJECTIVES,
        title="beside",
        classes=CLASSES,
        space=find_space("hybrid"),
        baselines=beside,
        compressed=[made],
    )
    (tmp_path / "front.html").write_text(front_page(record))
    page, complaints = browser.new_page(), []
    listen(page, complaints)
    page.goto((tmp_path / "front.html").as_uri())
    settle(page)
    members = [result.key for result in front(RESULTS, OBJECTIVES)]
    assert listed(page) == [*members, *(one.name for one in (*beside, made))]
    assert page.inner_text("#left") == "6 networks within the budgets, 1 on the front."
    assert page.inner_text("#card h2") in members
    page.click("text=Clear budgets")
    assert page.inner_text("#left") == "1 network on the front."
    assert "baseline" in page.inner_text("#legend")
    assert "unet-s (baseline)" in page.inner_text("#networks")
    squares = page.evaluate(
        "[...document.querySelector('.plane').data.find((t) => t.mode === 'markers+text')"
        ".marker.symbol].filter((symbol) => symbol === 'square-open').length"
    )
    assert squares == 2
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
    page.close()
    assert complaints == []


def test_a_picture_tells_the_resolution_of_each_axis_where_they_differ(browser, tmp_path):
    thick = find_preset("hybrid-s").with_axes(axes_for((1.5, 1.5, 10.0), (64, 64, 8)))
    result = flat_result(
        number=0,
        key=thick.key,
        architecture=thick.to_json(),
        state="complete",
        dice=0.8,
        params=1000,
    )
    record = SearchRecord(
        results=[result],
        objectives=("dice", "params"),
        title="thick slices",
        classes=(),
        space=find_space("hybrid"),
    )
    (tmp_path / "front.html").write_text(front_page(record, None))
    page = browser.new_page()
    page.goto((tmp_path / "front.html").as_uri())
    page.click(f"#networks .key:text-is('{thick.key}')")
    rows = page.locator(".picture > span").all_inner_texts()
    told = [row.split(" \N{MULTIPLICATION SIGN} ") for row in rows]
    assert told == [["1"], ["1/2", "1/2", "1"], ["1/4", "1/4", "1"], ["1/8", "1/8", "1/2"]]
    page.close()
