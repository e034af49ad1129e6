"""A device agent: measures ONNX files on this machine for searches that run on others.

Loads no PyTorch. Who does not know the token is told nothing and has nothing read; a file is taken
up to a size, measured in a process of its own that is ended after a time, one file at a time.
"""

from __future__ import annotations

import hmac
import json
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import monotonic
from typing import Any, BinaryIO

from nas.cost.devices.agent_messages import (
    LATENCY,
    MACHINE,
    MOST_BYTES,
    MOST_SECONDS,
    ORDER_HEADER,
    Machine,
    Order,
    Times,
    read_message,
)
from nas.cost.latency.conditions import accelerator, file_runtime, processor_name
from nas.cost.latency_probe.child_process import environment
from trainers.cores import usable_cores
from trainers.errors import UserError

SILENCE = 30.0  # seconds that the other side may say nothing
BLOCK = 1 << 20  # bytes that are read at once
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # by which a machine or a person ends it
CARDS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # the first is that of `accelerator`


class RefusedError(Exception):
    """A request that is not served, with the status that says so."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Agent(ThreadingHTTPServer):
    """Serves until it is closed. `say` hears of every file that was measured, by `runtime`:
    onnxruntime, openvino, or tensorrt on the first GPU."""

    daemon_threads = True

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        say: Callable[[str], None],
        runtime: str = "onnxruntime",
    ) -> None:
        """Raises UserError where the runtime is missing, OSError where the port cannot be had."""
        _check_runtime(runtime)
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.token, self.say, self.runtime = token.encode(), say, runtime
        self.measuring = Lock()
        on_gpu = runtime == "tensorrt"
        device, driver = accelerator() if on_gpu else (processor_name(), platform.system())
        self.machine = Machine(
            device=device,
            driver=driver,
            runtime=file_runtime(runtime),
            cpus=usable_cores(),
            most_bytes=MOST_BYTES,
            lacks=_lacks(runtime),
        )
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One that hung up is no reason to print a traceback."""
        self.say(f"a request broke off: {sys.exception()!r}")


def _check_runtime(runtime: str) -> None:
    """Raise UserError where it is not installed."""
    module = "onnxruntime" if runtime == "tensorrt" else runtime
    package = "onnxruntime-gpu" if runtime == "tensorrt" else runtime
    if find_spec(module) is None:
        raise UserError(f"{package} is not installed; pip install {package}")
    if runtime == "tensorrt":
        import onnxruntime

        if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
            raise UserError(
                "--runtime tensorrt: this onnxruntime is built without TensorRT; install "
                "onnxruntime-gpu in its place, on a Jetson NVIDIA's wheel of it"
            )


def _lacks(runtime: str) -> tuple[str, ...]:
    """The precisions that it takes files of and would compute in another one."""
    if runtime == "tensorrt":
        return ("int8",)  # it wants symmetric ranges, which these files have not
    if runtime != "openvino":
        return ()
    from nas.cost.latency.openvino_file import cpu_lacks

    return ("fp16",) if cpu_lacks("fp16") else ()


class _Handler(BaseHTTPRequestHandler):
    server: Agent
    timeout = SILENCE

    def do_GET(self) -> None:
        self._answer(self._machine)

    def do_POST(self) -> None:
        self._answer(self._measure)

    def log_message(self, format: str, *args: Any) -> None:
        """What the agent has to say it says itself."""

    def _answer(self, serve: Callable[[], Mapping[str, Any]]) -> None:
        status = HTTPStatus.OK
        try:
            self._check_token()
            told = serve()
        except RefusedError as refused:
            status, told = refused.status, {"error": str(refused)}
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _check_token(self) -> None:
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, b"Bearer " + self.server.token):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "the token is not that of this agent")

    def _machine(self) -> Mapping[str, Any]:
        if self.path != MACHINE:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"expected {MACHINE}")
        return {**self.server.machine.to_json(), "busy": self.server.measuring.locked()}

    def _measure(self) -> Mapping[str, Any]:
        if self.path != LATENCY:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"expected {LATENCY}")
        order, length = self._order(), self._length()
        with TemporaryDirectory(prefix="segnas-agent-") as folder:
            file = Path(folder) / "network.onnx"
            with file.open("wb") as written:
                _copy(self.rfile, written, length)
            if not self.server.measuring.acquire(blocking=False):
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "another file is measured now")
            try:
                told = _times(file, order, self.server.runtime)
            finally:
                self.server.measuring.release()
        self.server.say(f"measured a file of {length:,} bytes")
        return {"times": told.to_json(), "machine": self.server.machine.to_json()}

    def _order(self) -> Order:
        try:
            order = read_message(Order, self.headers.get(ORDER_HEADER, ""))
        except ValueError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{ORDER_HEADER}: {error}") from None
        if order.threads > (cpus := self.server.machine.cpus):
            why = f"{order.threads} threads; this machine has {cpus} CPUs"
            raise RefusedError(HTTPStatus.BAD_REQUEST, why)
        return order

    def _length(self) -> int:
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdecimal()):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected the length of the file")
        if len(told) > 15 or int(told) > MOST_BYTES:
            why = f"the file is too large; expected {MOST_BYTES} bytes at most"
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        return int(told)


def _copy(source: BufferedIOBase, target: BinaryIO, length: int) -> None:
    """As many bytes, in a time that a slow line has for them."""
    deadline, left = monotonic() + MOST_SECONDS, length
    while left:
        block = source.read(min(left, BLOCK))
        if not block or monotonic() > deadline:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"the file broke off {left} bytes early")
        target.write(block)
        left -= len(block)


def _times(file: Path, order: Order, runtime: str) -> Times:
    """Measured in a process of its own. Raises RefusedError, of another status where the file is to
    blame than where this machine is: a search waits for a machine."""
    module = "nas.cost.devices.agent_child"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, str(file), json.dumps(order.to_json()), runtime],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=file.parent,
            env={**environment(order.threads), **CARDS},
            timeout=order.timeout,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"timed out after {order.timeout:g} s") from None
    if done.returncode < 0:
        ended_by = signal.Signals(-done.returncode)
        end = _out_of_order if ended_by in STOPS else _failed
        raise end(f"crashed ({ended_by.name})")
    told = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode and not told:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _out_of_order(f"no measurement: {said or f'exit status {done.returncode}'}")
    try:
        return read_message(Times, told)
    except ValueError as error:
        try:
            answer = json.loads(told)
            end = _out_of_order if "away" in answer else _failed
            why = answer.get("away") or answer["failed"]
        except (ValueError, TypeError, KeyError, AttributeError):
            end, why = _failed, f"no times: {error}"
        raise end(why) from None


def _failed(why: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, why)


def _out_of_order(why: str) -> RefusedError:
    return RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, why)
