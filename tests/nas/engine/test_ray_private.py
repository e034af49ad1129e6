"""The private parts of Ray that are replaced: without them the replacement would change nothing."""

import inspect

from ray.air.execution._internal import RayActorManager
from ray.tune.execution import tune_controller

from nas.engine import ray_private


def test_tune_makes_its_actor_manager_by_the_name_that_is_replaced(monkeypatch):
    made = "RayActorManager("
    assert made in inspect.getsource(tune_controller.TuneController)
    monkeypatch.setattr(tune_controller, "RayActorManager", RayActorManager)
    ray_private.survive_lost_actors()
    assert tune_controller.RayActorManager is ray_private.ActorManager


def test_the_method_that_is_overridden_is_called_with_the_error_of_a_task():
    method = inspect.signature(RayActorManager._actor_task_failed)
    assert list(method.parameters) == ["self", "tracked_actor_task", "exception"]
    assert "self._actor_task_failed(" in inspect.getsource(RayActorManager)
