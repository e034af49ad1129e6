"""Private parts of Ray that are used for want of public ones, as read in version 2.60."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError
from ray.tune.execution import tune_controller

LOST = (OutOfMemoryError, NodeDiedError, WorkerCrashedError)


class ActorManager(RayActorManager):
    """Ray's own, which takes an actor that Ray's memory monitor killed for an error of its own.

    It would end the whole run (seen with Ray 2.60); here it is a lost worker like any other.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, LOST):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def survive_lost_actors() -> None:
    """Give Tune's runs in this process an `ActorManager`; it takes no other way."""
    tune_controller.RayActorManager = ActorManager  # type: ignore[misc]
