"""A search started from a machine that is no node of the cluster: its driver runs on the head.

Ray Tune over Ray Client would send copies of the searcher and its callbacks to the head; a search
is one living session with files and a terminal, which no copy replaces.
"""

from __future__ import annotations

import codecs
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from time import sleep
from typing import Any

import ray
from ray.exceptions import RayError

from trainers.errors import UserError, first_line, last_line
from trainers.signals import starting_processes

HEAD = "node:__internal_head__"  # a resource that Ray gives to the head, and to no other node
STARTS = 4  # times that a connection is tried
PAUSE = 2.0  # seconds between two tries
ANSWER = 5.0  # seconds for the head to answer at all
CHUNK = 65536  # bytes of output at a time
# A Ray worker blocks SIGINT, and its children would, too.
COMMAND = (
    "import signal, sys; signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT}); "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from nas.cli.main import main; sys.exit(main())"
)


class Driver:
    """The actor on the head: one `segnas` process, its output and its signals."""

    def __init__(self, arguments: Sequence[str], address: str, columns: int) -> None:
        environment = {**os.environ, "COLUMNS": str(columns), "PYTHONUNBUFFERED": "1"}
        if not environment.get("CUDA_VISIBLE_DEVICES"):  # Ray hides GPUs from who asked for none
            environment.pop("CUDA_VISIBLE_DEVICES", None)
        self._process = Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--address", address],
            cwd=Path.home(),
            env=environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )

    def read(self) -> bytes:
        """What it printed since; waits for something, and is empty once it has ended."""
        assert self._process.stdout is not None
        return os.read(self._process.stdout.fileno(), CHUNK)

    def interrupt(self) -> None:
        """Ctrl-C, to the search alone."""
        self._process.send_signal(signal.SIGINT)

    def status(self) -> int:
        """Its exit status; waits for it."""
        return self._process.wait()


def drive(address: str, arguments: Sequence[str]) -> int:
    """Run `segnas ARGUMENTS` on the head of the cluster at `ray://HOST:PORT`, and on its nodes.

    Prints what it prints, and hands Ctrl-C on to it, however often. Paths are the cluster's, and
    relative ones start at the home directory there. Returns its exit status: minus the signal's
    number where it was killed. The search ends with this process; the same command goes on.

    Raises UserError where no cluster answers or it has other versions, or the connection is lost.
    """
    gcs = connect(address)
    try:
        return _follow(_start(arguments, gcs))
    except RayError as error:
        raise UserError(
            f"--address {address}: the search's process there was lost: {first_line(error)}; "
            "the same command goes on"
        ) from error
    finally:
        ray.shutdown()


def connect(address: str, init: Callable[[str], str] | None = None) -> str:
    """Connect to the cluster at `ray://HOST:PORT`; its address as its own nodes know it.

    For each connection Ray starts a server process on the head, which now and then dies at its
    start, or takes too long on a busy machine (seen with Ray 2.60): so it is tried up to `STARTS`
    times, which is said. `init` connects once. Raises UserError.
    """
    _knock(address)
    for left in reversed(range(STARTS)):
        try:
            return (init or _connect)(address)
        except ImportError as error:
            raise UserError(
                f"--address {address}: Ray Client is not installed here ({error}); "
                "install it with `pip install 'ray[client]'`"
            ) from error
        except (RuntimeError, ValueError) as error:  # other versions, a wrong address
            raise _unusable(address, first_line(error)) from error
        except _failures() as error:
            ray.shutdown()
            cause = last_line(error)  # of the traceback of its server
            if not left:
                raise _unusable(address, f"{cause} ({STARTS} times)") from error
            again = f"trying again ({STARTS - left + 1} of {STARTS})"
            print(f"Ray's server for this connection failed: {cause}; {again}", flush=True)
            sleep(PAUSE)
    raise AssertionError("the last try returns or raises")


def _connect(address: str) -> str:
    with starting_processes():
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    return ray.get(ray.remote(_gcs_address).options(num_cpus=0, resources={HEAD: 1e-3}).remote())


def _knock(address: str) -> None:
    """Ray itself would try for half a minute, each time."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        raise _unusable(address, "expected ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _unusable(address, f"nobody answers ({error})") from error


def _unusable(address: str, why: str) -> UserError:
    return UserError(
        f"--address {address}: no cluster can be used there: {why} "
        "(expected a head started with `ray start --head --ray-client-server-port=10001`, with "
        "segnas and the same Python and Ray as here)"
    )


def _failures() -> tuple[type[Exception], ...]:
    """What a connection raises whose server failed; gRPC's error is none of Python's own."""
    try:
        from grpc import RpcError
    except ImportError:
        return ConnectionError, RayError
    return ConnectionError, RayError, RpcError


def _gcs_address() -> str:
    return ray.get_runtime_context().gcs_address


def _start(arguments: Sequence[str], gcs: str) -> Any:
    columns = os.get_terminal_size().columns if sys.stdout.isatty() else 120
    # Two calls at a time: a signal does not wait for output.
    options = {"num_cpus": 0, "resources": {HEAD: 1e-3}, "max_concurrency": 2}
    return ray.remote(Driver).options(**options).remote(list(arguments), gcs, columns)


def _follow(driver: Any) -> int:
    pending = driver.read.remote()
    letters = codecs.getincrementaldecoder("utf-8")("replace")  # a chunk may end within one
    while True:
        try:
            if not ray.wait([pending], timeout=0.5)[0]:
                continue
            text = ray.get(pending)
            sys.stdout.write(letters.decode(text, final=not text))
            sys.stdout.flush()
            if not text:
                return ray.get(driver.status.remote())
            pending = driver.read.remote()
        except KeyboardInterrupt:
            driver.interrupt.remote()
