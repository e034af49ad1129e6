"""A prober on a node of the Ray cluster that has what `latency.resources` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from nas.cost.failure import AwayError, Failure
from nas.cost.latency import Conditions, Latency
from nas.cost.latency_probe.local import LocalProber
from nas.cost.latency_probe.task import ProbeTask, Trained
from search_spaces.space import Architecture
from trainers.errors import UserError, first_line

LOSSES = 3  # how often in a row an actor may be lost with the same set
LOOK = 30.0  # seconds between looks whether the cluster still has the resources
PATIENCE = 10  # looks until resources that nobody frees are an error


class _Probe:
    """The actor: a `LocalProber` of its node, which sees to crashes and timeouts."""

    def __init__(self, task: ProbeTask) -> None:
        self._prober = LocalProber(task)

    def conditions(self) -> Conditions:
        return self._prober.conditions()

    def measure(
        self, architectures: Sequence[Architecture], parcel: Parcel | None
    ) -> list[Latency | Failure]:
        with TemporaryDirectory() as folder:
            self._prober.submit(architectures, parcel.unpack(Path(folder)) if parcel else None)
            while (answers := self._prober.poll(1.0)) is None:
                pass
        return answers


@dataclass(frozen=True)
class Parcel:
    """The files of a `Trained`, on their way to another node."""

    weights: Sequence[bytes | None]
    windows: bytes

    @classmethod
    def of(cls, trained: Trained) -> Parcel:
        """Read the files."""
        weights = [None if file is None else file.read_bytes() for file in trained.weights]
        return cls(weights, trained.windows.read_bytes())

    def unpack(self, folder: Path) -> Trained:
        """Write them into the folder."""

        def written(name: str, content: bytes) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        weights = [
            None if content is None else written(f"{number}.pt", content)
            for number, content in enumerate(self.weights)
        ]
        return Trained(weights, written("windows.npy", self.windows))


class RemoteProber:
    """See `Prober`. Needs Ray initialised in this process, and segnas installed on that node.

    The actor takes the resources named and no CPU or GPU besides, unless those are among them. One
    that is lost is replaced. Raises AwayError, a UserError, where no node offers the resources, and
    where another machine than that of the `conditions` measures.
    """

    def __init__(self, task: ProbeTask) -> None:
        self._task = task
        self._actor: Any = None
        self._conditions: Conditions | None = None
        self._connection: tuple[str, str] | None = None
        self._architectures: list[Architecture] = []
        self._parcel: Parcel | None = None
        self._answers: list[Latency | Failure] = []
        self._pending: Any = None
        self._losses = 0
        self._looked = 0.0
        self._look()

    def conditions(self) -> Conditions:
        """See `Prober`."""
        pending = self._started().conditions.remote()
        looks = 0
        while not ray.wait([pending], timeout=LOOK)[0]:
            self._look()
            looks += 1
            if looks == PATIENCE:
                raise AwayError(
                    f"latency.resources = {_shown(self._task.latency.resources)}: the node that "
                    f"offers that did not answer for {looks * LOOK:g} s; expected it to be free "
                    "for this search; end what else holds it there"
                )
        try:
            found: Conditions = _take(pending)
        except RayError as error:
            self._end_actor()
            raise AwayError(
                f"latency.resources: the probe was lost: {first_line(error)}"
            ) from error
        self._conditions = found
        return found

    def submit(self, architectures: Sequence[Architecture], trained: Trained | None = None) -> None:
        """See `Prober`."""
        if self._pending is not None:
            raise RuntimeError("a set is under way; poll until it is measured")
        self._parcel = Parcel.of(trained) if trained else None
        self._architectures, self._losses = list(architectures), 0
        self._request()

    def poll(self, seconds: float = 0.0) -> list[Latency | Failure] | None:
        """See `Prober`."""
        if self._pending is not None and ray.wait([self._pending], timeout=seconds)[0]:
            self._receive()
        elif self._pending is not None and monotonic() - self._looked > LOOK:
            self._look()
        return None if self._pending is not None else self._answers

    def close(self) -> None:
        """See `Prober`."""
        self._pending = None
        self._end_actor()

    def _request(self) -> None:
        self._pending = self._started().measure.remote(self._architectures, self._parcel)

    def _receive(self) -> None:
        pending, self._pending = self._pending, None
        try:
            self._answers = self._checked(_take(pending))
        except RayError as error:
            self._end_actor()
            self._losses += 1
            if self._losses < LOSSES:
                self._look()
                self._request()
            else:
                reason = f"latency: the probe was lost {LOSSES} times: {first_line(error)}"
                self._answers = [Failure(reason) for _ in self._architectures]

    def _checked(self, answers: list[Latency | Failure]) -> list[Latency | Failure]:
        """The answers, where they are of one machine with those before."""
        for answer in answers:
            expected = self._conditions
            if isinstance(answer, Latency) and expected and answer.conditions != expected:
                self._end_actor()
                raise AwayError(
                    f"latency.resources = {_shown(self._task.latency.resources)}: the node that "
                    f"measures now is {answer.conditions.text()}, and it was {expected.text()}; "
                    "the same command goes on once that one has the resources again and no other"
                )
        return answers

    def _started(self) -> Any:
        if self._actor is None or self._connection != _connection():
            options = _options(self._task.latency.resources)
            self._actor = ray.remote(_Probe).options(**options).remote(self._task)
            self._connection = _connection()
        return self._actor

    def _end_actor(self) -> None:
        if self._actor is not None and self._connection == _connection():
            ray.kill(self._actor)  # its child process ends with it
        self._actor = None

    def _look(self) -> None:
        """Raise AwayError where no node that is alive has the resources, in use or not."""
        wanted = self._task.latency.resources
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= n for name, n in wanted.items()) for node in nodes):
            raise AwayError(
                f"latency.resources = {_shown(wanted)}: no node of the Ray cluster offers that; "
                f"it has {'; '.join(map(_shown, nodes))}. Start a node with `ray start "
                "--resources`, or leave latency.resources out to measure on this machine"
            )
        self._looked = monotonic()


def _connection() -> tuple[str, str] | None:
    """Which start of Ray this is: an actor's handle is worth nothing after another one."""
    if not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    return context.get_node_id(), context.get_job_id()


def _take(pending: Any) -> Any:
    """The answer of the actor, whose UserError is raised as it was."""
    try:
        return ray.get(pending)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from None
        raise


def _options(resources: Mapping[str, float]) -> dict[str, Any]:
    """How Ray wants to be told; CPUs and GPUs have names of their own."""
    named = dict(resources)
    return {
        "num_cpus": named.pop("CPU", 0),
        "num_gpus": named.pop("GPU", 0),
        "memory": named.pop("memory", None),
        "resources": named,
    }


def _shown(resources: Mapping[str, float]) -> str:
    hidden = ("node:", "memory", "object_store_memory")
    shown = {name: f"{n:g}" for name, n in resources.items() if not name.startswith(hidden)}
    return "{" + ", ".join(f"{name}: {n}" for name, n in shown.items()) + "}"
