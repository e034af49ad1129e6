"""MLflow's server over the store of one search, for a browser on this machine."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO

import psutil

from nas.tracking.store import ARTIFACTS, DEFAULTS, STORE, sqlite_uri
from trainers.errors import UserError

PORT = 5000
START_SECONDS = 180.0
STOP_SECONDS = 3.0  # a browser's open connection would hold it up for longer
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Networks of one's own, where a router or a container's host may have given it another address.
PRIVATE = ("192.168.*", "10.*", *(f"172.{n}.*" for n in range(16, 32)))
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
# It shows records: no jobs for language models beside it.
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def served(
    directory: Path, host: str, port: int | None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the store in `directory` until the block is left: the server's address and process.

    `port` None: 5000, or a free one where that is taken. Raises UserError where `port` is taken or
    the server does not start.
    """
    chosen = _free_port(host, port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(chosen)]
    command += ["--workers", "1"]
    command += ["--backend-store-uri", sqlite_uri(directory.resolve() / STORE)]
    command += ["--artifacts-destination", (directory.resolve() / ARTIFACTS).as_uri()]
    reach = {} if _is_loopback(host) else _reachable(host)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**reach, **os.environ, **DEFAULTS, **QUIET},
            start_new_session=True,  # Ctrl-C reaches this process alone, which ends the server
        )
        try:
            url = f"http://{_address(host)}:{chosen}"
            _wait_for(url, process, log)
            yield url, process
        finally:
            _stop(process)


def _address(host: str) -> str:
    """Where a browser on this machine finds a server on `host`."""
    if host in ANYWHERE:
        return ANYWHERE[host]
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _reachable(host: str) -> dict[str, str]:
    """What has MLflow answer to the names and addresses of this machine: of others it takes a
    request for an attack (DNS rebinding), of a page's own ones, too."""
    names = {host, socket.gethostname(), socket.getfqdn()}
    for each in chain.from_iterable(psutil.net_if_addrs().values()):
        if each.family in (socket.AF_INET, socket.AF_INET6):
            names.add(each.address.partition("%")[0])
    # Patterns, in which a bracket opens a set; of addresses the private ones are MLflow's own.
    hosts = {f"[[]{name}]" if ":" in name else name.lower() for name in names | {*LOOPBACK}}
    hosts |= {*PRIVATE}
    hosts |= {f"{name}:*" for name in hosts}
    origins = (f"http://{name}" for name in sorted(hosts))
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(sorted(hosts)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
    }


def _free_port(host: str, port: int | None) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in (PORT, 0) if port is None else (port,):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, wanted))
            except OSError as error:
                taken = error
                continue
            return int(probe.getsockname()[1])
    reason = taken.strerror or taken
    if taken.errno in (errno.EADDRINUSE, errno.EACCES):
        raise UserError(f"--port {port} cannot be used ({reason}); leave it out for a free one")
    raise UserError(f"--host {host} cannot be used ({reason}); expected an address of this machine")


def _wait_for(url: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    # A proxy of the environment is not asked for an address of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with opener.open(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines() or ["nothing was said"]
    raise UserError(f"MLflow's server did not start: {said[-1]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
