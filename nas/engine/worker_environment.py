"""The environment that Ray on this machine gives to the processes in which trials run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

MACHINE_LOCK = "SEGNAS_MACHINE_LOCK"  # the lock's name, for `nas.engine.worker_imports`


@contextmanager
def worker_environment(cpus: int, niceness: int, machine_lock: str | None) -> Iterator[None]:
    """A block in which Ray is to be started, so that its processes have as many threads as a trial
    has `cpus`, unless OMP_NUM_THREADS says otherwise, and that `niceness`.

    Where they are those of a search, with that `machine_lock`, each begins with what a worker
    imports: Ray starts one for every CPU that it is given, before anything is asked of them. It
    would end one after a second once its CPU is reserved, which is a moment before a trial takes
    the process.
    """
    values = {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(cpus)),
        "RAY_worker_niceness": str(niceness),
    }
    if machine_lock:
        values[MACHINE_LOCK] = machine_lock
        values["RAY_preload_python_modules"] = "nas.engine.worker_imports"
        values["RAY_idle_worker_killing_time_threshold_ms"] = "3600000"
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
