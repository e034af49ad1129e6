"""Is anything lost, trained twice or left behind where the parts of a search are killed?

    python benchmarks/kills.py --kills 50
    python benchmarks/kills.py --kills 6 --dir /tmp/kills

Real tiny searches, in rounds of up to 12 kills: the driver, a worker, the probe that measures
latencies, one of Ray's own processes and MLflow's server on one machine, and a node of two (all of
its processes at once) in a cluster. Kinds and moments are drawn by the seed: 0 to 30 seconds after
the last kill, so that openings are hit as well as trainings; before every other kill a result is
waited for. A driver is begun again by the same command, a server and a node come back a few seconds
later, and all else is the search's own business; where it ends, which is counted, the same command
goes on. In the end the search is interrupted as by Ctrl-C, and goes on for two more networks to its
proper end.

Then every finished result that was in the journal at a kill has to be there, once, as it was, and
with the same weights; MLflow has one run of each network; no process of the search or of a dead
node lives (Ray's agents get 90 s); no draft, trace or temporary file is left; the front is that of
all results. What is found counts for the kill before it.

Rounds are appended to DIR/kills.jsonl, and the same command goes on with the next one; --minutes
begins none after that time. Takes about 30 s a kill on two idle cores. Linux only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep, time
from typing import Any

from json_lines import append, read
from rich.console import Console
from rich.table import Table
from watched.journal import front_is_that_of_all, leftovers, results, weights_digest
from watched.places import Machine, TwoNodes
from watched.processes import Family, command_line, kind_of
from watched.search_command import SearchHungError
from watched.store import run_starts

from nas.cli.main import one_line_errors

KINDS = ("driver", "worker", "probe", "Ray", "MLflow", "node")
ROUND = 2 * len(KINDS)  # kills
SPAN = 30.0  # seconds after the last kill
GRACE = 90.0  # seconds for processes to notice that the one they belong to is gone


@dataclass
class Kill:
    """One kill, and what was found wrong after it and before the next one.

    `at`: the time of day. `waited`: seconds after the kill before, or the start. `back`: seconds
    until the next result. `ended`: how often the search then ended by itself. `told`: the results
    that were finished, as text, by key.
    """

    kind: str
    target: str
    at: float
    waited: float
    finished: int
    back: float | None = None
    lost: int = 0
    again: int = 0
    weights: int = 0
    duplicates: int = 0
    orphans: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    hung: str = ""
    ended: int = 0
    told: dict[str, str] = field(default_factory=dict, repr=False)
    digests: dict[str, str | None] = field(default_factory=dict, repr=False)

    def row(self) -> dict[str, Any]:
        """What is kept of it."""
        return {k: v for k, v in asdict(self).items() if k not in ("told", "digests")}


class Round:
    """Kills of these kinds, one after the other, in one search."""

    def __init__(self, place: Machine | TwoNodes, temporary: Path, random: Random) -> None:
        self._place, self._temporary, self._random = place, temporary, random
        self._search = place.search
        self._lives: list[int] = []  # the number of kills when each process of the search began
        self.kills: list[Kill] = []
        self.status: list[int] = []

    def run(self, kinds: Sequence[str]) -> dict[str, Any]:
        """Returns what holds of the search as a whole."""
        self._start()
        for number, kind in enumerate(kinds):
            self._kill(kind, patient=number % 2 == 1)
        self._back()
        if self._search.process.poll() is None:
            self.status.append(self._search.interrupt())
        trained = [r for r in results(self._search.directory) if r["state"] != "infeasible"]
        self._start("--set", f"search.trials={len(trained) + 2}")
        self.status.append(self._search.end())
        return self._check()

    def _start(self, *options: str) -> None:
        self._search.start(*options)
        self._lives += [len(self.kills)] * (len(self._search.families) - len(self._lives))

    def _kill(self, kind: str, patient: bool) -> None:
        wait = self._random.uniform(0, SPAN)
        if patient:
            self._back()
        self._search.watch(wait)
        directory = self._search.directory
        if kind not in ("driver", "MLflow", "node"):
            while not self._search.family.alive(kind):
                self._search.watch(0.2)
        ended = results(directory)
        told = {result["key"]: json.dumps(result) for result in ended}
        digests = {
            result["key"]: weights_digest(directory, result["key"])
            for result in ended
            if result["state"] == "complete"
        }
        target = self._place.kill(kind, self._random)
        self.kills.append(Kill(kind, target, time(), wait, len(told), told=told, digests=digests))
        if kind == "driver":
            self._start()
        self._place.mend(kind, self._random)

    def _back(self) -> None:
        """Wait for a result after the last kill."""
        try:
            seconds = self._search.until_result()
        except SearchHungError as error:
            if self.kills:
                self.kills[-1].hung = str(error)
            self._search.process.kill()
            self._search.process.wait()
            self._start()
        else:
            if self.kills:
                self.kills[-1].back = seconds

    def _check(self) -> dict[str, Any]:
        self._place.close()
        directory = self._search.directory
        ended = results(directory)
        final = {result["key"]: json.dumps(result) for result in ended}
        digests = {
            key: weights_digest(directory, key)
            for key, told in final.items()
            if json.loads(told)["state"] == "complete"
        }
        for key in {key for kill in self.kills for key in kill.told}:
            if last := self._last_with(key, "told", final.get(key)):
                last.lost += 1
            if last := self._last_with(key, "digests", digests.get(key)):
                last.weights += 1
        for key, times in Counter(result["key"] for result in ended).items():
            if times > 1:
                first = next((k for k in self.kills if key in k.told), self.kills[-1])
                first.again += times - 1
        for moment in self._search.ended:
            self._before(moment).ended += 1
        self._count_runs()
        self._count_orphans()
        for path in leftovers(directory, self._temporary):
            self._before(path.stat().st_mtime).left.append(path.name)
        return {
            "front": front_is_that_of_all(directory, "hybrid", self._place.objectives),
            "status": self.status,
            "results": len(final),
            "starts": len(self._search.families),
        }

    def _last_with(self, key: str, what: str, now: str | None) -> Kill | None:
        """Where it is not `now` as it was first known: the last kill before which it was so."""
        known = [kill for kill in self.kills if key in getattr(kill, what)]
        if not known or (first := getattr(known[0], what)[key]) == now is not None:
            return None
        return [kill for kill in known if getattr(kill, what)[key] == first][-1]

    def _count_runs(self) -> None:
        for starts in run_starts(self._place.store).values():
            for extra in sorted(starts)[1:]:
                self._before(extra).duplicates += 1

    def _count_orphans(self) -> None:
        families = [*self._search.families, *self._place.families()]
        end = monotonic() + GRACE
        while any(family.alive() for family in families) and monotonic() < end:
            sleep(1)
        # A life of the search ended by the last kill before the next one began.
        ends = [*self._lives[1:], *[len(self.kills)] * len(families)]
        for family, kills in zip(self._search.families, ends, strict=False):
            self.kills[max(kills, 1) - 1].orphans += names(family)
        for family, kill in zip(
            self._place.families(), [k for k in self.kills if k.kind == "node"], strict=False
        ):
            kill.orphans += names(family)

    def _before(self, moment: float) -> Kill:
        """The last kill before a time of day."""
        return next((k for k in reversed(self.kills) if k.at <= moment), self.kills[0])


def names(family: Family) -> list[str]:
    """The processes that live."""
    return [f"{kind_of(one)}: {command_line(one)[:80]}" for one in family.alive()]


def main() -> None:
    arguments = parse()
    console, book = Console(width=160), arguments.dir / "kills.jsonl"
    arguments.dir.mkdir(parents=True, exist_ok=True)
    started = monotonic()
    while (done := len(kills_in(book))) < arguments.kills:
        if monotonic() - started > 60 * arguments.minutes:
            break
        kinds = [KINDS[n % len(KINDS)] for n in range(done, min(done + ROUND, arguments.kills))]
        play(arguments.dir, book, kinds, Random(f"{arguments.seed} {done}"), console)
    console.print(table(kills_in(book), read(book)))


def play(folder: Path, book: Path, kinds: list[str], random: Random, console: Console) -> None:
    """One round: its kills on one machine, then those of nodes."""
    random.shuffle(kinds)
    for kind_of_place in (Machine, TwoNodes):
        chosen = [kind for kind in kinds if kind in kind_of_place.kinds]
        if not chosen:
            continue
        # Ray's sockets have short paths.
        temporary = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
        home = folder / f"{kind_of_place.__name__}-{len(read(book))}"
        shutil.rmtree(home, ignore_errors=True)
        place = kind_of_place(home, temporary)
        try:
            round_ = Round(place, temporary, random)
            whole = round_.run(chosen)
        finally:
            place.search.stop()
            place.close()
        rows = [kill.row() for kill in round_.kills]
        append(book, {"place": kind_of_place.__name__, **whole, "kills": rows})
        console.print(f"{home.name}: {len(rows)} kills, {whole}", highlight=False)
        shutil.rmtree(temporary, ignore_errors=True)


def kills_in(book: Path) -> list[dict[str, Any]]:
    """All of them."""
    return [kill for one in read(book) for kill in one["kills"]]


def table(kills: Sequence[dict[str, Any]], rounds: Sequence[dict[str, Any]]) -> Table:
    """A row for each kind."""
    whole = sum(one["front"] for one in rounds)
    shown = Table(
        title=f"{len(kills)} kills; the front is that of all results in {whole} of "
        f"{len(rounds)} searches"
    )
    shown.add_column("killed")
    heads = "kills", "finished before", "lost", "trained again", "weights changed", "MLflow twice"
    for head in (*heads, "orphans", "files left", "hung", "search ended", "next result after"):
        shown.add_column(head, justify="right")
    for kind in KINDS:
        own = [kill for kill in kills if kill["kind"] == kind]
        if own:
            back = sorted(kill["back"] for kill in own if kill["back"] is not None)
            seconds = f"{back[len(back) // 2]:.0f} s ({back[-1]:.0f})" if back else ""
            counts = [sum(k[name] for k in own) for name in ("finished", "lost", "again")]
            counts += [sum(k[name] for k in own) for name in ("weights", "duplicates")]
            counts += [sum(len(k[name]) for k in own) for name in ("orphans", "left")]
            counts += [sum(bool(k["hung"]) for k in own), sum(k["ended"] for k in own)]
            shown.add_row(kind, *map(str, [len(own), *counts]), seconds)
    return shown


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="in all, earlier ones included")
    parser.add_argument("--dir", type=Path, default=Path("runs/kills"))
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no round after that")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
