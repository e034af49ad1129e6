"""The private parts of Ray that are replaced: without them the replacement would change nothing."""

import inspect
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ray._private.utils import validate_socket_filepath
from ray.air._internal import usage
from ray.air.execution._internal import RayActorManager
from ray.tune import Callback
from ray.tune.execution import tune_controller
from ray.tune.execution.class_cache import _ActorClassCache

from nas.config.resources import Resources
from nas.engine import cluster, ray_private
from nas.engine.cluster import Cluster, check_temporary_folder
from nas.engine.ray_private import SOCKET_BYTES, longest_socket
from trainers.errors import UserError

from .workers import Counting


@pytest.fixture
def tune(monkeypatch):
    """Tune's controller, whose names are put back afterwards."""
    monkeypatch.setattr(tune_controller, "RayActorManager", RayActorManager)
    monkeypatch.setattr(tune_controller, "_ActorClassCache", _ActorClassCache)
    monkeypatch.setattr(usage, "tag_callbacks", usage.tag_callbacks)
    return tune_controller


def test_tune_makes_its_actor_manager_and_its_actors_by_the_names_that_are_replaced(tune):
    source = inspect.getsource(tune.TuneController)
    assert "RayActorManager(" in source
    assert "_ActorClassCache()" in source
    ray_private.adapt_tune(inherited=True)
    assert tune.RayActorManager is ray_private.ActorManager
    assert tune._ActorClassCache is ray_private.PlainActors
    ray_private.adapt_tune(inherited=False)
    assert tune._ActorClassCache is _ActorClassCache


def test_callbacks_are_not_looked_through_for_statistics_which_imports_mlflow(tune):
    assert "air_usage.tag_callbacks(callbacks)" in inspect.getsource(sys.modules["ray.tune.tune"])
    assert "mlflow" in inspect.getsource(usage._count_callbacks)
    ray_private.adapt_tune(inherited=True)
    before = set(sys.modules)
    assert not usage.tag_callbacks([Callback()])
    assert set(sys.modules) == before


def test_actors_have_a_runtime_environment_by_ray_and_none_by_ours():
    theirs, ours = _ActorClassCache(), ray_private.PlainActors()
    assert theirs.get(Counting)._default_options["runtime_env"]
    assert not ours.get(Counting)._default_options.get("runtime_env")
    assert ours.get(Counting) is ours.get(Counting)


def test_the_method_that_is_overridden_is_called_with_the_error_of_a_task():
    method = inspect.signature(RayActorManager._actor_task_failed)
    assert list(method.parameters) == ["self", "tracked_actor_task", "exception"]
    assert "self._actor_task_failed(" in inspect.getsource(RayActorManager)


STARTED = """
import ray
from nas.config.resources import Resources
from nas.engine.cluster import Cluster
from nas.engine.ray_private import longest_socket
with Cluster(Resources(concurrent=1)) as cluster:
    cluster.start()
    node = ray._private.worker._global_node
    print(node.plasma_store_socket_name, node.raylet_socket_name, longest_socket(), sep="\\n")
"""


def folder_of(length, below):
    """A new folder below another, with a path of so many bytes."""
    folder = below / ("x" * (length - len(os.fsencode(below)) - 1))
    folder.mkdir()
    return folder


@pytest.mark.slow
def test_ray_starts_where_its_sockets_have_the_longest_paths_that_are_possible():
    """The layout is Ray's: a version of Ray that has another fails here."""
    below = "/ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store"
    room = SOCKET_BYTES - len(below)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        folder = folder_of(room, Path(short))
        done = subprocess.run(
            [sys.executable, "-c", STARTED],
            env={**os.environ, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    plasma, raylet, predicted = done.stdout.splitlines()[-3:]
    assert len(raylet) <= len(plasma) == len(predicted) <= SOCKET_BYTES
    assert re.sub(r"session_[^/]*", "", plasma) == re.sub(r"session_[^/]*", "", predicted)


def test_a_folder_that_is_too_long_is_named_before_ray_starts(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        room = SOCKET_BYTES - len(os.fsencode(longest_socket())) + len(short)
        monkeypatch.setenv("TMPDIR", str(folder_of(room, Path(short))))
        validate_socket_filepath(str(longest_socket()))
        check_temporary_folder()
        monkeypatch.setenv("TMPDIR", str(folder_of(room + 1, Path(short))))
        with pytest.raises(OSError, match="AF_UNIX path length"):
            validate_socket_filepath(str(longest_socket()))
        with pytest.raises(UserError, match=f"set RAY_TMPDIR to .* {room} bytes at most") as error:
            Cluster(Resources()).__enter__()
        assert os.environ["TMPDIR"] in str(error.value)
        monkeypatch.setenv("RAY_TMPDIR", short)
        check_temporary_folder()


def test_a_folder_that_cannot_be_made_is_named_before_ray_starts(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "a file"))
    monkeypatch.setattr(cluster, "SOCKET_BYTES", 1000)
    with pytest.raises(UserError, match="a file/ray cannot be made a folder: Not a directory"):
        Cluster(Resources()).__enter__()
