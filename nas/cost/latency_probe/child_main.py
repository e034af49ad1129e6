"""The process that measures: answers requests on the socket it was given, until that closes."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np
import torch

from nas.cost.failure import reason_of
from nas.cost.latency import LatencyError, conditions_of
from nas.cost.latency.measure import measure_prepared, prepare
from nas.cost.latency_probe.machine_lock import MachineLock
from nas.cost.latency_probe.task import ProbeTask
from search_spaces.registry import load_architecture
from trainers.checkpoint import load_weights
from trainers.errors import UserError
from trainers.signals import ignore_terminal

Tell = Callable[..., None]


def main(descriptor: int) -> None:
    """Serve the process at the other end of the socket; end with it.

    The first message is the task; then come `{"measure": records}`, of which each may name its
    `weights` and the whole its `windows` (see `Trained`), `{"conditions": true}`, and
    `{"export": record, "to": file}` for an ONNX file.
    What is told back is dated by the clock that both processes share.
    """
    ignore_terminal()  # Ctrl-C is for the search, which ends this one
    os.set_inheritable(descriptor, False)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # Ray's workers are nice, and their children too
    connection = Connection(descriptor)
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
    Thread(target=_listen, args=(connection, requests), daemon=True).start()

    def tell(**message: Any) -> None:
        connection.send_bytes(json.dumps({"at": monotonic(), **message}).encode())

    task = ProbeTask.from_json(requests.get())
    torch.set_num_threads(task.latency.threads)
    while True:
        _answer(task, requests.get(), tell)


def _listen(connection: Connection, requests: SimpleQueue[dict[str, Any]]) -> None:
    """Hear the end of the other process at once, whatever is being computed here."""
    try:
        while True:
            requests.put(json.loads(connection.recv_bytes()))
    except (EOFError, OSError):
        os._exit(0)


def _answer(task: ProbeTask, request: Mapping[str, Any], tell: Tell) -> None:
    try:
        device = torch.device(task.latency.device_beside(task.device))
        if "conditions" in request:
            tell(conditions=conditions_of(task.channels, task.latency, device).to_json())
        elif "export" in request:
            _export(task, request["export"], Path(request["to"]), tell)
        else:
            _measure(task, request["measure"], request.get("windows"), device, tell)
    except UserError as error:
        tell(refused=str(error))
    except Exception as error:  # the network's own fault, whatever it is
        tell(failed=reason_of(error))


def _measure(
    task: ProbeTask,
    records: Sequence[Mapping[str, Any]],
    file: str | None,
    device: torch.device,
    tell: Tell,
) -> None:
    """Build and compile all beside the trials; warm up and time while alone."""
    prepared = []
    windows = None if file is None else torch.from_numpy(np.load(file))
    for index, record in enumerate(records):
        tell(stage="build", index=index)
        prepared.append(prepare(_built(task, record), task.channels, task.latency, device))
    tell(stage="wait")
    with MachineLock.named(task.machine_lock).exclusive() if task.machine_lock else nullcontext():
        tell(stage="measure")
        latencies = measure_prepared(prepared, windows)
    tell(latencies=[latency.to_json() for latency in latencies])
    prepared.clear()
    gc.collect()
    torch.cuda.empty_cache()


def _export(task: ProbeTask, record: Mapping[str, Any], file: Path, tell: Tell) -> None:
    """Beside the trials, but not while a latency is timed; its time begins once it may compute."""
    assert task.latency.patch is not None
    shape = (task.latency.batch, task.channels, *task.latency.patch)
    tell(stage="wait")
    with MachineLock.named(task.machine_lock).shared() if task.machine_lock else nullcontext():
        tell(stage="build", index=0)
        from nas.cost.latency.onnx_runner import write_precision  # its imports are work, too

        write_precision(_built(task, record), shape, task.latency, file)
    tell(exported=True)
    gc.collect()


def _built(task: ProbeTask, record: Mapping[str, Any]) -> torch.nn.Module:
    torch.manual_seed(task.seed)
    network = load_architecture(record).build(task.channels, task.classes)
    if weights := record.get("weights"):
        _load(network, Path(weights))
    return network


def _load(network: torch.nn.Module, weights: Path) -> None:
    """What is wrong with its weights is one network's fault, not that of the others."""
    try:
        load_weights(network, weights)
    except UserError as error:
        raise LatencyError(str(error)) from error


if __name__ == "__main__":
    main(int(sys.argv[1]))
