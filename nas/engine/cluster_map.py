"""A function over many tasks on Ray: as many side by side as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from nas.engine.cluster import Cluster
from nas.engine.node_cache import volumes_here

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def cluster_map(
    work: Callable[[Task, Path], Answer],
    tasks: Sequence[Task],
    cluster: Cluster,
    directory: Path,
    volumes: Path,
    retries: int,
) -> Iterator[tuple[Task, Answer | RayError]]:
    """`(task, work(task, volumes))` for every task, as they end.

    `volumes`: the folder of the prepared volumes, which other nodes read from a copy of their own.
    A task whose process dies is done again, `retries` times; what then broke it takes the place of
    its answer. Raises UserError where no machine has room for one, or nodes do not share
    `directory`.
    """
    slots = cluster.slots
    cluster.start()
    cluster.check(directory)
    resources = cluster.requested
    remote: Any = ray.remote(_on_node).options(
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        resources=resources.custom or None,
        label_selector=resources.labels or None,
        max_retries=retries,
    )
    waiting = list(reversed(tasks))
    running: dict[ray.ObjectRef, Task] = {}
    while waiting or running:
        while waiting and len(running) < slots:
            task = waiting.pop()
            running[remote.remote(work, task, volumes, cluster.driver_node)] = task
        (ended,), _ = ray.wait(list(running))
        task = running.pop(ended)
        try:
            yield task, ray.get(ended)
        except RayError as error:
            yield task, error


def _on_node(
    work: Callable[[Task, Path], Answer], task: Task, volumes: Path, driver: str
) -> Answer:
    return work(task, volumes_here(volumes, driver))
