"""How quickly the front's page of many networks is written, drawn, and answers.

    python benchmarks/front_page.py [--networks 2000] [--to FILE]

Made-up results of random networks of the hybrid space go through the writer of a search; headless
Chromium opens the page (playwright, of the extra `test`) without a GPU. Each answer is timed from
its event to the second frame after it, the median of ten: two frames at 60 Hz are 33 ms. Beside it
stands what the page's own thread computed, which a loaded machine changes least.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from nas.cli.main import one_line_errors
from nas.pareto.result import Result
from nas.report.search_record import SearchRecord
from nas.report.write_front import write_front
from search_spaces.registry import find_space
from search_spaces.space import RandomTrial

FLAGS = ["--no-sandbox", "--disable-gpu"]
EPOCHS = 30
CLASSES = ("liver", "spleen", "kidney")
TIMED = """
async ([act, whole]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const found = [];
  for (let i = 0; i < 10; i += 1) {
    await new Promise((done) => setTimeout(done, 150));  // what was begun before is done
    const drawn = new Promise((done) => document.addEventListener("drawn", done, {once: true}));
    const begun = performance.now();
    new Function("i", act)(i);
    if (whole) await drawn;
    await frame();
    await frame();
    found.push(performance.now() - begun);
  }
  return found;
}
"""
PLANE = "document.querySelector('.plane .points')"
ACTS = {
    "choose a network": "document.querySelectorAll('#networks tbody .key')[i].click()",
    "point at one": f"""const box = {PLANE}.getBoundingClientRect();
        {PLANE}.dispatchEvent(new PointerEvent('pointermove', {{bubbles: true,
        clientX: box.x + 90 + 17 * i, clientY: box.y + 60 + 9 * i}}))""",
    "one step of a slider": """const slider = document.querySelector('input[name=macs]');
        slider.value = slider.max - 40 * i; slider.dispatchEvent(new Event('input'))""",
    "colour by another knob": """const by = document.getElementById('by');
        by.selectedIndex = 6 + i; by.dispatchEvent(new Event('change'))""",
    "light an option": "document.querySelectorAll('#choices .option')[i % 8].click()",
    "sort the table": "document.querySelectorAll('#networks .sort')[i % 4].click()",
}
REDRAW = ("one step of a slider", "colour by another knob", "light an option")
"""What draws the planes at once, and the rest 60 ms after the last of such steps."""


def main() -> None:
    """Write the page, open it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--to", type=Path, help="keep the page as this file")
    options = parser.parse_args()
    record = SearchRecord(
        results=made_up(options.networks),
        objectives=("dice", "params", "latency_ms"),
        title=f"{options.networks} made-up networks",
        classes=CLASSES,
        space=find_space("hybrid"),
    )
    importances = record.importances
    with tempfile.TemporaryDirectory() as folder:
        for what in ("written, first", "written again"):
            begun = time.perf_counter()
            write_front(Path(folder), record, importances)
            row(what, f"{time.perf_counter() - begun:.2f} s")
        page = Path(folder) / "front.html"
        row("size", f"{page.stat().st_size / 1e6:.1f} MB")
        browse(page)
        if options.to:
            shutil.copy(page, options.to)


def browse(page: Path) -> None:
    """Time the page in a browser."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        view = browser.new_page(viewport={"width": 1920, "height": 1080})
        processor = Processor(view)
        view.add_init_script(
            "document.addEventListener('drawn', () => { window.ready ??= performance.now(); })"
        )
        view.goto(page.as_uri())
        painted = "performance.getEntriesByName('first-contentful-paint')"
        view.wait_for_function(f"{painted}.length > 0")
        row("first paint", f"{view.evaluate(f'{painted}[0].startTime'):.0f} ms")
        view.wait_for_function("window.ready")
        ready = view.evaluate("window.ready")
        row("all drawn", f"{ready:.0f} ms, {processor.spent():.0f} computed")
        view.select_option("#which", "complete")
        for name, act in ACTS.items():
            row(name, _timed(view, processor, act, whole=False))
            if name in REDRAW:
                row("  until all is drawn", _timed(view, processor, act, whole=True))
        browser.close()


class Processor:
    """The milliseconds that the page's own thread computed, whatever else the machine does."""

    def __init__(self, view: Any) -> None:
        self._session = view.context.new_cdp_session(view)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent(self) -> float:
        """Since the page was opened."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(m["value"] for m in metrics if m["name"] == "TaskDuration")


def _timed(view: Any, processor: Processor, act: str, whole: bool) -> str:
    view.wait_for_timeout(300)
    before = processor.spent()
    times: list[float] = view.evaluate(TIMED, [act, whole])
    computed = (processor.spent() - before) / len(times)
    return f"{statistics.median(times):.0f} ms, {computed:.0f} computed"


def made_up(count: int) -> list[Result]:
    """Random networks of the space: two of three trained, the others stopped or rejected."""
    rng, space = random.Random(0), find_space("hybrid")
    found: dict[str, Result] = {}
    for number in range(100 * count):
        if len(found) == count:
            break
        architecture = space.sample(RandomTrial(number))
        if architecture.key in found:
            continue
        state: Any = ("complete", "complete", "complete", "complete", "stopped", "infeasible")[
            number % 6
        ]
        params = 10 ** rng.uniform(3.5, 6.5)
        best = 0.9 - 0.35 / params**0.12 - abs(rng.gauss(0, 0.04))
        epochs = {"complete": EPOCHS, "stopped": 9, "infeasible": 0}[state]
        curve = tuple(best * (1 - 0.8 ** (epoch + 1)) for epoch in range(epochs))
        trained = state == "complete"
        found[architecture.key] = Result(
            number=number,
            space=space.name,
            key=architecture.key,
            architecture=architecture.to_json(),
            state=state,
            reason=None if trained else "made up",
            dice=curve[-1] if trained else None,
            dice_per_class=dict.fromkeys(CLASSES, curve[-1]) if trained else {},
            costs={
                "params": round(params),
                "macs": round(params * 10 ** rng.uniform(2.5, 3.5)),
                "memory": round(params * 10 ** rng.uniform(2, 2.5)),
                "latency_ms": params**0.5 * rng.uniform(0.02, 0.05),
            },
            epochs=epochs,
            curve=curve,
        )
    return list(found.values())


def row(what: str, figure: str) -> None:
    """Print one."""
    print(f"{what:26}{figure:>28}", flush=True)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
