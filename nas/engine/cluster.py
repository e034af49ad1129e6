"""Ray for a search: on this machine, or a cluster that runs already."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self
from uuid import uuid4

import ray
from ray.exceptions import GetTimeoutError, RayError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.config.resources import Resources
from nas.engine.ray_private import SOCKET_BYTES, longest_socket
from nas.engine.slots import Machine, count_slots
from nas.engine.worker_environment import worker_environment
from trainers.atomic import output_folder
from trainers.errors import UserError, last_line
from trainers.signals import starting_processes

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray's own records of trials and of the experiment: the study's journal has it all.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
    # Ctrl-C is the session's; see `nas.engine.interrupt`.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Ray would start its workers, which import for seconds, one after the other; the session, not
    # Ray, knows how many there may be.
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",
}
ANSWER = 5.0  # seconds for a cluster's head to answer
AFTERMATH = 30.0  # seconds until all that a dead node took along is heard of
LOOK = 120.0  # seconds for the nodes to look around, imports included
SETTLE = 10.0  # seconds until a shared file system shows a new file everywhere
SAME = ("segnas", "torch", "monai")  # packages whose versions all nodes have in common
START = (
    "start one with `ray start --head`, and its other nodes with `ray start --address=HEAD:6379`"
)


class NodeDiedError(Exception):
    """No trial is to blame."""


class Cluster:
    """Where trials run; a context manager that ends what it has started.

    Without an `address` it is this machine, whose Ray is started when it is needed. With one
    (`auto`, or `HOST:PORT` of the head), it is connected to at once. Ray that the program has
    initialised itself is used as it is, and left as it is.

    `here`: Ray is this process's own, on this machine; elsewhere nodes may join and leave.
    `machine_lock`: the name of that of a search, whose workers then begin to import as soon as Ray
    is started on this machine; see `worker_environment`.
    """

    def __init__(
        self, resources: Resources, address: str | None = None, machine_lock: str | None = None
    ) -> None:
        self._resources, self._address, self._machine_lock = resources, address, machine_lock
        self.here = address is None and not ray.is_initialized()
        self._ours = False
        self._dead: set[str] | None = None  # nodes
        self._died = -inf  # when the last of them did

    def __enter__(self) -> Self:
        """Raises UserError where no cluster answers at the address, and where Ray cannot be started
        on this machine for want of a folder for its sockets."""
        if self._address:
            self.start()
        elif self.here:
            check_temporary_folder()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def slots(self) -> int:
        """How many trials run side by side. Raises UserError where no machine has room for one."""
        return count_slots(self._resources, None if self.here else self.machines())

    @property
    def requested(self) -> Resources:
        """What a trial requests of Ray, which starts a process for every CPU that it is given: on
        this machine it is given one for each slot."""
        return self._resources.model_copy(update={"cpus": 1}) if self.here else self._resources

    @property
    def room(self) -> int:
        """How many trials fit now that nodes may have joined or left; 0 is possible."""
        room = sum(machine.room(self.requested) for machine in self.machines())
        return min(room, self._resources.concurrent or room)

    @property
    def driver_node(self) -> str:
        """Ray's id of the node that this process runs on. Ray must be started."""
        return ray.get_runtime_context().get_node_id()

    def machines(self) -> list[Machine]:
        """The nodes that are alive. Ray must be started."""
        return [
            Machine(node["NodeManagerHostname"], node["Resources"], node["Labels"], node["NodeID"])
            for node in self._nodes()
        ]

    def loses_a_node(self) -> bool:
        """Whether a node dies just now, or did a moment ago. Ray must be started.

        For some seconds Ray takes a dead node for alive, and loses trials that it sends there: so
        every node that is alive has to answer, too.
        """
        doors = [(node["NodeManagerAddress"], node["NodeManagerPort"]) for node in self._nodes()]
        return monotonic() - self._died < AFTERMATH or not all(_answers(*door) for door in doors)

    def loses_its_node(self) -> bool:
        """Whether Ray's node on this machine, the only one, is gone or dies just now."""
        return self.here and (not self._nodes() or self.loses_a_node())

    def check_alive(self) -> None:
        """Raise NodeDiedError where Ray's node on this machine, the only one, is gone: Tune would
        wait for another for ever."""
        if self.here and not self._nodes():
            raise NodeDiedError("its node on this machine died")

    def _nodes(self) -> list[dict[str, Any]]:
        """Those that Ray takes for alive."""
        nodes = ray.nodes()
        dead = {node["NodeID"] for node in nodes if not node["Alive"]}
        if self._dead is not None and dead - self._dead:
            self._died = monotonic()
        self._dead = dead
        return [node for node in nodes if node["Alive"]]

    def start_ahead(self) -> None:
        """`start` before it is needed, for its processes import for seconds. Where Ray fails it is
        left to the next `start`."""
        try:
            self.start()
        except UserError:
            raise
        except Exception:  # of a dozen kinds
            self.stop()

    def start(self) -> None:
        """Start Ray, or connect to it, unless that is done already."""
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        if ray.is_initialized():
            return
        self._ours = True
        with starting_processes():
            self._init()

    def _init(self) -> None:
        if self._address:
            _connect(self._address)
        else:
            own = self._resources
            with worker_environment(own.cpus, own.niceness, self._machine_lock):
                ray.init(
                    address="local",  # whatever RAY_ADDRESS or an earlier `ray start` say
                    num_cpus=self.slots,
                    num_gpus=None if self._resources.gpus else 0,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )

    def stop(self) -> None:
        """End what `start` has started; where Ray broke down, the next `start` is a new one."""
        if self._ours:
            ray.shutdown()
        self._ours = False

    def check_user(self) -> None:
        """See that trials on this machine and this process are one user's, or they cannot share a
        `MachineLock`. Ray must be started, unless it is this process's own.

        Raises UserError where they are not.
        """
        if self.here:
            return
        there = NodeAffinitySchedulingStrategy(self.driver_node, soft=False)
        task = ray.remote(_user).options(num_cpus=0, scheduling_strategy=there)
        try:
            refuse_another(ray.get(task.remote(), timeout=LOOK))
        except (RayError, GetTimeoutError) as error:
            raise UserError(f"this machine's node of the cluster runs nothing: {error}") from error

    def check(self, directory: Path) -> None:
        """See that every node with room for a trial shares `directory` and has this software.

        Raises UserError that names those which do not, and what to do.
        """
        here = self.driver_node
        nodes = [m for m in self.machines() if m.id != here and m.room(self._resources)]
        if not nodes:
            return
        token = directory / f".seen-{uuid4().hex}"
        token.write_text(token.name)
        try:
            answers = _ask(nodes, token)
        finally:
            token.unlink()
        blind = [name for name, answer in answers.items() if answer.get("sees") is False]
        if blind:
            raise UserError(
                f"{directory} is not seen by {', '.join(blind)}; expected a folder that all nodes "
                "of the cluster share: put --dir on a shared file system, under the same path"
            )
        wrong = [f"{name}: {text}" for name, a in answers.items() for text in _differences(a)]
        if wrong:
            raise UserError(
                f"the nodes of the cluster differ from this one: {'; '.join(wrong)}. Install the "
                "same versions everywhere, for instance with one container image"
            )


def _user() -> int:
    """The user of a process that Ray has started."""
    return os.geteuid()


def refuse_another(user: int) -> None:
    """Raise UserError where that is not the one of this process."""
    if user != os.geteuid():
        raise UserError(
            f"Ray's processes on this machine are those of user {user}, and this one is user "
            f"{os.geteuid()}'s: trials would not wait while a latency is measured; start both as "
            "one user, or have another node measure (latency.resources)"
        )


def check_temporary_folder() -> None:
    """Raises UserError where the sockets of Ray would have longer paths than a socket can have, or
    no folder: Ray would be started several times, and each time fail."""
    socket = longest_socket()
    folder = socket.parents[2]
    least = SOCKET_BYTES - len(os.fsencode(socket.relative_to(folder.parent))) - 1
    advice = f"set RAY_TMPDIR to a folder with a path of {least} bytes at most, such as /tmp"
    if (length := len(os.fsencode(socket))) > SOCKET_BYTES:
        raise UserError(
            f"{folder.parent} (TMPDIR or RAY_TMPDIR): a socket that Ray makes there would have a "
            f"path of {length} bytes, and the system takes {SOCKET_BYTES}; {advice}"
        )
    try:
        output_folder(folder)
    except UserError as error:
        raise UserError(f"Ray keeps its sockets there: {error}; {advice}") from error


def look(token: Path) -> dict[str, Any]:
    """What a node sees of the search's folder, and which versions it has; runs on that node."""
    end = monotonic() + SETTLE
    while not token.exists() and monotonic() < end:
        sleep(0.2)
    sees = token.exists() and token.read_text() == token.name
    return {"sees": sees, "versions": {package: version(package) for package in SAME}}


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _ask(nodes: Sequence[Machine], token: Path) -> dict[str, dict[str, Any]]:
    """Each node's answer by its name, or its `error`; nothing of one that has left meanwhile."""
    task = ray.remote(look)
    asked = []
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        asked.append((node, task.options(num_cpus=0, scheduling_strategy=there).remote(token)))
    end = monotonic() + LOOK
    answers: dict[str, dict[str, Any]] = {}
    for node, answer in asked:
        name = f"{node.name} ({node.id[:8]})"
        try:
            answers[name] = ray.get(answer, timeout=max(0.0, end - monotonic()))
        except GetTimeoutError:
            answers[name] = {"error": f"no answer within {LOOK:g} s"}
        except TaskUnschedulableError:
            continue
        except RayError as error:
            answers[name] = {"error": f"it cannot run segnas: {last_line(error)}"}
    return answers


def _differences(answer: Mapping[str, Any]) -> list[str]:
    """What is wrong with a node; local builds of a version (2.13.0+cpu) are the same version."""
    if "error" in answer:
        return [answer["error"]]
    here = {package: version(package) for package in SAME}
    return [
        f"{package} {there}, here {here[package]}"
        for package, there in answer["versions"].items()
        if there.partition("+")[0] != here[package].partition("+")[0]
    ]


def _connect(address: str) -> None:
    """Raises UserError where no cluster answers, or this machine is no node of it."""
    host, _, port = address.rpartition(":")
    if host:
        _knock(address, host, port)
    elif address != "auto":
        raise UserError(f"--address {address}: expected auto, HOST:PORT or ray://HOST:PORT")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise UserError(f"--address {address}: no Ray cluster runs here; {START}") from error
    except (RuntimeError, ValueError, RayError) as error:
        raise UserError(
            f"--address {address}: {str(error).strip()} (expected this machine to be a node of "
            "that cluster, with the same Python and Ray; from any other, use --address ray://HOST:10001)"
        ) from error


def _knock(address: str, host: str, port: str) -> None:
    """Ray itself would try for minutes."""
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, ValueError) as error:
        raise UserError(f"--address {address}: nobody answers ({error}); {START}") from error
