"""A device that an agent measures on: `segnas probe --listen`, seen from the search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from threading import Event
from time import monotonic
from typing import BinaryIO
from urllib.parse import urlsplit

from pydantic import ValidationError

from nas.cost.devices.agent_messages import (
    LATENCY,
    MACHINE,
    MOST_ANSWER,
    ORDER_HEADER,
    Machine,
    Order,
    Times,
    read_message,
)
from nas.cost.failure import AwayError, Failure
from nas.cost.latency import Conditions, Latency, LatencyConfig
from nas.cost.latency.conditions import backend_of
from nas.cost.latency.result import summary
from nas.cost.latency.timing import Sample
from trainers.errors import UserError, first_line, shortened

CONNECT = 10.0  # seconds
SLACK = 60.0  # beyond the time that a measurement may take: the file has to travel
BUSY = 1.0  # seconds between looks while another search's file is measured


class AgentDevice:
    """See `FileDevice`. It is asked directly: no proxy, no redirection."""

    def __init__(
        self, url: str, token: str, latency: LatencyConfig, shape: tuple[int, ...]
    ) -> None:
        """Raises UserError where no agent measures like that."""
        self._url, self._latency, self._shape = url.rstrip("/"), latency, shape
        self._headers = {"Authorization": f"Bearer {token}"}
        try:
            own = latency.model_dump(include=set(Order.model_fields))
            self._order = Order.from_json(own)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise UserError(f"{wrong['loc'][0]} = {wrong['input']}: {wrong['msg']}") from None

    def conditions(self) -> Conditions:
        return self._conditions(self._machine())

    def measure(self, file: Path, ended: Event) -> Latency | Failure:
        latency, size = self._latency, file.stat().st_size
        deadline = monotonic() + latency.timeout + SLACK
        header = {ORDER_HEADER: json.dumps(self._order.to_json()), "Content-Length": str(size)}
        while True:
            while (machine := self._machine()).busy and monotonic() < deadline:
                if ended.wait(BUSY):
                    break
            if size > machine.most_bytes:
                return Failure(f"latency: its file has {size} bytes; {self._url} takes fewer")
            with file.open("rb") as body:
                status, told = self._ask("POST", LATENCY, latency.timeout + SLACK, body, header)
            overtaken = status == HTTPStatus.SERVICE_UNAVAILABLE  # while the file travelled
            if not overtaken or monotonic() >= deadline or ended.wait(BUSY):
                break
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return Failure(f"latency: {self._error(told)}")
        self._check(status, told)
        try:
            answer = json.loads(told)
            times = Times.from_json(answer["times"])
            conditions = self._conditions(Machine.from_json(answer["machine"]))
        except (ValueError, TypeError, KeyError) as error:
            raise AwayError(f"{self._url} answers no figures: {first_line(error)}") from None
        sample = Sample(times.first, times.second)
        return summary(sample.times, sample.noise, latency.warmup, conditions)

    def _machine(self) -> Machine:
        status, told = self._ask("GET", MACHINE, CONNECT)
        if status == HTTPStatus.UNAUTHORIZED:
            raise UserError(f"{self._url} has another token; copy its file with the token here")
        self._check(status, told)
        try:
            return read_message(Machine, told)
        except ValueError as error:
            raise AwayError(f"{self._url} is no device agent: {error}") from None

    def _conditions(self, machine: Machine) -> Conditions:
        latency = self._latency
        if latency.threads > machine.cpus:
            raise UserError(
                f"threads = {latency.threads}; expected {machine.cpus} at most, the CPUs of "
                f"{self._url}"
            )
        if latency.precision in machine.lacks:
            rest = [one for one in ("fp32", "fp16", "int8") if one not in machine.lacks]
            raise UserError(
                f"precision = {latency.precision}: {machine.runtime} does not compute in it at "
                f"{self._url}; use {' or '.join(rest)}"
            )
        return Conditions(
            device=machine.device,
            driver=machine.driver,
            threads=latency.threads,
            precision=latency.precision,
            quantisation=latency.quantisation if latency.precision == "int8" else None,
            backend=backend_of(machine.runtime),
            runtime=machine.runtime,
            shape=self._shape,
        )

    def _ask(
        self,
        method: str,
        path: str,
        seconds: float,
        body: BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """The status and what was answered. Raises AwayError."""
        parts = urlsplit(self._url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=CONNECT)
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request(method, path, body, {**self._headers, **(headers or {})})
            with connection.getresponse() as answer:
                return answer.status, answer.read(MOST_ANSWER)
        except (OSError, UnicodeError, HTTPException) as error:
            raise AwayError(f"{self._url} does not answer: {first_line(error)}") from error
        finally:
            connection.close()

    def _check(self, status: int, told: bytes) -> None:
        if status != HTTPStatus.OK:
            raise AwayError(f"{self._url} answers {status}: {self._error(told)}")

    def _error(self, told: bytes) -> str:
        try:
            return shortened(str(json.loads(told)["error"]))
        except (ValueError, TypeError, KeyError):
            return shortened(told.decode(errors="replace"))
