import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow.server.security_utils import is_allowed_host_header, should_block_cors_request

from nas.cli.main import main
from nas.tracking import server
from tests.nas.small_search import ended_search, tracked_search
from trainers.errors import UserError

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def test_a_folder_that_is_no_search_is_one_clear_error(tmp_path, segnas):
    error = segnas.refused("ui", tmp_path).replace("\n", " ")
    assert "is no search: journal.log is missing" in error
    assert not list(tmp_path.iterdir())


def test_a_search_that_mlflow_never_saw_is_told_what_to_do(tmp_path, segnas):
    ended_search(tmp_path)
    assert "segnas sync" in segnas.refused("ui", tmp_path)


def test_a_search_without_mlflow_has_no_pages(tmp_path, segnas):
    ended_search(tmp_path, tracking={"enabled": False})
    assert "without MLflow" in segnas.refused("ui", tmp_path)


def test_with_a_server_of_its_own_the_link_is_all(tmp_path, segnas, monkeypatch):
    ended_search(tmp_path, tracking={"uri": "http://server:5000/"})
    monkeypatch.setattr("nas.tracking.lookup.find_run", lambda *_: ("7", "abc"))
    assert segnas.printed("ui", tmp_path) == (
        "http://server:5000/#/experiments/7/runs/abc/artifacts/front.html"
        "?workflowType=machine_learning\n"
    )


def test_a_store_without_a_server_has_no_link(tmp_path, segnas, monkeypatch):
    ended_search(tmp_path, tracking={"uri": f"sqlite:///{tmp_path}/shared.db"})
    monkeypatch.setattr("nas.tracking.lookup.find_run", lambda *_: ("7", "abc"))
    assert "no server to open; start one with mlflow server" in segnas.refused("ui", tmp_path)


def test_a_server_for_others_answers_to_the_names_of_this_machine():
    told = server._reachable("Lab-7")
    hosts = told["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    origins = told["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    own = socket.gethostname().lower()
    for name in (own, f"{own}:5001", "lab-7:5001", "localhost:8080", "[::1]:5001", "10.0.0.7:80"):
        assert is_allowed_host_header(hosts, name), name
        assert not should_block_cors_request(f"http://{name}", "POST", origins), name
    for name in ("evil.example", "evil.example:5001", "localhost.evil.example", "8.8.8.8"):
        assert not is_allowed_host_header(hosts, name), name
        assert should_block_cors_request(f"http://{name}", "POST", origins), name


def test_a_default_port_that_is_taken_makes_room_and_a_chosen_one_is_refused(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(server, "PORT", taken)
        assert server._free_port("127.0.0.1", None) not in (0, taken)
        with pytest.raises(UserError, match=f"--port {taken} cannot be used"):
            server._free_port("127.0.0.1", taken)


def test_a_port_that_there_is_none_of_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["ui", "anywhere", "--port", "65536"])
    assert "--port: '65536'; expected 1 to 65535" in capsys.readouterr().err


def test_an_address_of_no_machine_is_not_taken_for_a_busy_port():
    with pytest.raises(UserError, match=r"--host 300\.1\.1\.1 cannot be used"):
        server._free_port("300.1.1.1", None)


@pytest.mark.parametrize(
    ("host", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")]
)
def test_the_link_is_one_that_a_browser_can_open(host, address):
    assert server._address(host) == address


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(server.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho no such module >&2; exit 1\n")
    (tmp_path / "python").chmod(0o755)
    with (
        pytest.raises(UserError, match="did not start: no such module"),
        server.served(tmp_path, "127.0.0.1", None),
    ):
        pytest.fail("it did")


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A tracked search. Returns (folder, study)."""
    folder = tmp_path_factory.mktemp("a search")
    return folder, tracked_search(folder)


@pytest.fixture(scope="module")
def link(search):
    """What `segnas ui` prints while it runs; it is ended by Ctrl-C."""
    code = "import sys; from nas.cli.main import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ui", str(search[0])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said


@pytest.fixture
def page(link):
    """A page of a browser that may reach this machine alone."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    base = link.partition("/#")[0]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        context.set_default_timeout(60_000)
        context.route(
            lambda url: not url.startswith((base, "blob:", "data:")), lambda route: route.abort()
        )
        yield context.new_page()
        browser.close()


def rendered(page):
    """The front's page in MLflow's viewer of artifacts."""
    frame = page.frame_locator("iframe").first
    frame.locator("h1").wait_for()
    return frame


@pytest.mark.slow
def test_the_link_opens_on_the_front(page, link):
    page.goto(link)
    frame = rendered(page)
    assert frame.locator("h1").inner_text() == "small_search"
    assert "3 of 4 trained networks" in frame.locator("body").inner_text()
    assert frame.locator("svg, canvas").first.is_visible()


@pytest.mark.slow
def test_the_search_describes_itself_and_leads_to_its_front(page, link):
    page.goto(link.replace("/artifacts/front.html", ""))
    front = page.get_by_role("link", name="The front as a page")
    front.wait_for()
    text = page.locator("body").inner_text()
    assert "5 candidates ended, 4 trained whole, 1 stopped early" in text
    with page.expect_popup() as opened:
        front.click()
    assert rendered(opened.value).locator("h1").inner_text() == "small_search"


@pytest.mark.slow
def test_the_description_leads_to_the_trials_in_charts_and_chosen_columns(page, link, search):
    page.goto(link.replace("/artifacts/front.html", ""))
    trials = page.get_by_role("link", name="Its trials as charts and a table")
    trials.wait_for()
    page.goto(f"{link.partition('#')[0]}{trials.get_attribute('href')}")
    page.get_by_text("Front", exact=True).first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer").first.wait_for()
    page.goto(page.url.replace("compareRunsMode=CHART", "compareRunsMode=TABLE"))
    for column in ("dice", "params", "front", "pareto_rank"):
        page.get_by_role("columnheader", name=column).first.wait_for()
    best = max(search[1].results, key=lambda result: result.dice or 0.0)
    page.get_by_role("link", name=f"trial-{best.number}-{best.key}").wait_for()  # not folded


@pytest.mark.slow
def test_trials_show_their_rank_and_the_search_its_hypervolume(page, link, search):
    study = search[1]
    page.goto(re.sub(r"/runs/\w+/artifacts/front.html", "/runs", link))
    parent = page.locator("[role=row]").filter(has_text="small_search").first
    parent.get_by_role("button").first.click()  # trials are folded into their search
    behind = study.results[2]
    page.get_by_role("link", name=f"trial-{behind.number}-{behind.key}").click()
    page.get_by_text("pareto_rank").first.wait_for()
    text = re.sub(r"\s+", " ", page.locator("body").inner_text())
    assert "pareto_rank : 2" in text or "pareto_rank: 2" in text
    assert re.search(r"front ?: false", text)
    page.goto(link.replace("/artifacts/front.html", "/model-metrics"))
    page.get_by_text("hypervolume").first.wait_for()


@pytest.mark.slow
def test_only_this_machine_reaches_the_server(link):
    assert link.startswith("http://127.0.0.1:")
    foreign = urllib.request.Request(
        link.partition("/#")[0] + "/api/2.0/mlflow/experiments/get?experiment_id=0",
        headers={"Host": "evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(foreign)
    assert refused.value.code == 403
