"""Where the search of a benchmark runs: this machine beside MLflow's server, or two nodes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import psutil

from nas.tracking.store import ARTIFACTS, STORE, make_store, prepare_mlflow, sqlite_uri
from watched.processes import KINDS, Family, command_line
from watched.search_command import LOOK, SearchCommand, begin, environment

OPENED = 180.0  # seconds for a server or a node to be there
SEARCH = {  # a candidate takes a second or two
    "name": "watched",
    "data": {"source": "phantom", "cases": 4, "shape": [24, 24, 24], "organs": 3},
    "space": {"restrict": {"width": [4], "levels": [3], "anchors": [0]}},
    "train": {"patch": [24, 24, 24], "epochs": 4, "steps_per_epoch": 8, "batch": 1},
    "objectives": ["dice", "params"],
    "search": {
        "sampler": "random",
        "trials": 100_000,
        "confirm": 0,  # in the end all that was begun is trained, and nothing else
        "early_stopping": None,
        "warm_start": [],
        "baselines": [],
    },
}


class Machine:
    """This machine with two slots, a latency that is measured, and MLflow's server."""

    kinds = ("driver", "worker", "probe", "Ray", "MLflow")
    objectives = ("dice", "params", "latency_ms")

    def __init__(self, folder: Path, temporary: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._environment = environment(temporary)
        config: dict[str, Any] = {
            **SEARCH,
            "objectives": list(self.objectives),
            "latency": {"warmup": 0, "repeats": 3},
            "resources": {"concurrent": 2},
            "tracking": {"uri": f"http://127.0.0.1:{self._port}"},
        }
        folder.mkdir(parents=True)
        self.store = folder / STORE
        prepare_mlflow()
        make_store(self.store)
        self._server = self._serve()
        self.search = SearchCommand(folder, config, temporary)

    def kill(self, kind: str, random: Random) -> str:
        """Kill one process of the kind, once there is one; returns which."""
        if kind == "MLflow":
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            return "server"
        return kill_one(self.search, kind, random)

    def mend(self, kind: str, random: Random) -> None:
        """Bring back what no search brings back itself."""
        if kind == "MLflow":
            self.search.watch(random.uniform(0, 10))
            self._server = self._serve()

    def families(self) -> list[Family]:
        """Of processes that should be gone by the end, besides those of the search."""
        return []

    def close(self) -> None:
        """End the server."""
        end_session(self._server)

    def _serve(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", sqlite_uri(self.store.resolve())]
        command += ["--artifacts-destination", (self._folder / ARTIFACTS).resolve().as_uri()]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = begin(command, self._folder / "server.txt", {**self._environment, **quiet})
        wait_for_port(self._port, process)
        return process


class TwoNodes:
    """A Ray cluster of two nodes with a slot each, and a head without."""

    kinds = ("node",)
    objectives = ("dice", "params")

    def __init__(self, folder: Path, temporary: Path) -> None:
        folder.mkdir(parents=True)
        self._folder, self._environment, self._port = folder, environment(temporary), free_port()
        self.store = folder / "search" / STORE
        options = [f"--port={self._port}", "--num-cpus=0", "--include-dashboard=false"]
        self._head = self._start("--head", *options, f"--temp-dir={temporary / 'ray'}")
        wait_for_port(self._port, self._head)
        self._ended: list[Family] = []
        self._nodes = [self._add_node(), self._add_node()]
        config: dict[str, Any] = {
            **SEARCH,
            "objectives": list(self.objectives),
            "resources": {"custom": {"trials": 1}},
        }
        address = ("--address", f"127.0.0.1:{self._port}")
        self.search = SearchCommand(folder, config, temporary, address)

    def kill(self, kind: str, random: Random) -> str:
        """All processes of one of the two nodes at once, as when its power fails."""
        place = random.randrange(2)
        while not self._nodes[place][1].alive("Ray"):  # it is just being started
            if self._nodes[place][0].poll() is not None:  # Ray gave up, beside too much other work
                self._nodes[place] = self._add_node()
            self.search.watch(LOOK)
        process, family = self._nodes[place]
        members = family.alive()
        os.killpg(process.pid, signal.SIGKILL)
        for member in members:
            with suppress(psutil.Error):
                member.kill()
        process.wait()
        self._ended.append(family)
        del self._nodes[place]
        return f"node of {len(members)} processes"

    def mend(self, kind: str, random: Random) -> None:
        """Another node joins, after a while."""
        self.search.watch(random.uniform(0, 10))
        self._nodes.append(self._add_node())

    def families(self) -> list[Family]:
        """Those of the nodes that were killed."""
        return self._ended

    def close(self) -> None:
        """End the cluster."""
        for process in (*(process for process, _ in self._nodes), self._head):
            end_session(process)

    def _add_node(self) -> tuple[subprocess.Popen[bytes], Family]:
        ports = ["--min-worker-port=0", "--max-worker-port=0"]
        ports += [f"--dashboard-agent-listen-port={free_port()}"]
        offers = ["--num-cpus=1", '--resources={"trials": 1}']
        process = self._start(f"--address=127.0.0.1:{self._port}", *offers, *ports)
        return process, Family(process.pid)

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options]
        return begin(command, self._folder / "ray.txt", self._environment)


def kill_one(search: SearchCommand, kind: str, random: Random) -> str:
    """Kill a random process of the kind that belongs to the search, its driver for `driver`."""
    if kind == "driver":
        search.process.kill()
        search.process.wait()
        return "driver"
    while not (found := search.family.alive(kind)):
        search.watch(LOOK)
    victim = random.choice(found)
    line = command_line(victim)
    with suppress(psutil.Error):
        victim.kill()
    return next((text for text in KINDS if text in line), kind)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens there. Raises RuntimeError where the process ended before."""
    end = monotonic() + OPENED
    while monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        sleep(LOOK)
    raise RuntimeError(f"{process.args} does not listen at port {port}")


def free_port() -> int:
    """One of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its session, in good order if it likes."""
    if process.poll() is not None:
        return
    family = Family(process.pid)
    members = family.alive()
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    for member in [*members, *family.alive()]:
        with suppress(psutil.Error):
            member.kill()
    process.kill()
    process.wait()
