"""Repeated trainings on Ray: as many side by side as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import ray
from ray.exceptions import RayError

from nas.analysis.confirm.repeats import Outcome, Repeat, train_repeat
from nas.config.run_config import RunConfig
from nas.engine.cluster import Cluster
from nas.engine.node_cache import volumes_here


def run_repeats(
    repeats: Sequence[Repeat], config: RunConfig, directory: Path, volumes: Path, cluster: Cluster
) -> Iterator[tuple[Repeat, Outcome]]:
    """The outcome of every repeat, as they end.

    A training whose process dies goes on from its last epoch, `search.retries` times; what then
    broke it is the reason of its outcome. Raises UserError where no machine has room for one, or
    nodes do not share `directory`.
    """
    slots = cluster.slots
    cluster.start()
    cluster.check(directory)
    resources = config.resources
    task = ray.remote(_train).options(
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        resources=resources.custom or None,
        label_selector=resources.labels or None,
        max_retries=config.search.retries,
    )
    waiting = list(reversed(repeats))
    running: dict[ray.ObjectRef, Repeat] = {}
    while waiting or running:
        while waiting and len(running) < slots:
            repeat = waiting.pop()
            running[task.remote(repeat, config, directory, volumes, cluster.driver_node)] = repeat
        (ended,), _ = ray.wait(list(running))
        repeat = running.pop(ended)
        try:
            yield repeat, ray.get(ended)
        except RayError as error:
            yield repeat, Outcome(None, (), str(error).strip().splitlines()[-1])


def _train(
    repeat: Repeat, config: RunConfig, directory: Path, volumes: Path, driver: str
) -> Outcome:
    return train_repeat(repeat, config, directory, volumes_here(volumes, driver))
