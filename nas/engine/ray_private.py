"""Private parts of Ray that are used for want of public ones, as read in version 2.60."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray._common.utils import get_default_ray_temp_dir
from ray.air._internal import usage
from ray.air.execution._internal import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError
from ray.tune.execution import tune_controller
from ray.tune.execution.class_cache import _ActorClassCache

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107  # of the path of a Unix socket
LOST = (OutOfMemoryError, NodeDiedError, WorkerCrashedError)


class ActorManager(RayActorManager):
    """Ray's own, which takes an actor that Ray's memory monitor killed for an error of its own.

    It would end the whole run (seen with Ray 2.60); here it is a lost worker like any other.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, LOST):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


class PlainActors(_ActorClassCache):
    """Ray's own, which gives every actor some variables of the driver as a runtime environment.

    A process that Ray has started ahead has none, and so would be ended and replaced by a new one
    (seen with Ray 2.60). Here an actor has none either; its process inherits the variables where
    the driver has started Ray itself.
    """

    def get(self, trainable_cls: type) -> Any:
        if trainable_cls not in self._cache:
            self._cache[trainable_cls] = ray.remote(trainable_cls)
        return self._cache[trainable_cls]


def adapt_tune(inherited: bool) -> None:
    """Give Tune's runs in this process an `ActorManager`, and `PlainActors` where workers have
    `inherited` the driver's environment; it takes no other way.

    Nor are callbacks looked through for Ray's statistics of use, which imports MLflow.
    """
    tune_controller.RayActorManager = ActorManager  # type: ignore[misc]
    actors = PlainActors if inherited else _ActorClassCache
    tune_controller._ActorClassCache = actors  # type: ignore[misc]
    usage.tag_callbacks = _count_nothing


def _count_nothing(callbacks: object) -> bool:
    return False


def longest_socket() -> Path:
    """The longest path of a socket of a Ray that this process starts; the times stand for one.

    Below `RAY_TMPDIR`, else `TMPDIR`, else /tmp.
    """
    session = f"session_2026-01-01_00-00-00_000000_{os.getpid()}"
    return Path(get_default_ray_temp_dir()) / session / "sockets" / "plasma_store"
