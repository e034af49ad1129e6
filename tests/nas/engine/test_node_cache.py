"""Copies of a cache, made by real processes."""

import os
import signal
import time
from multiprocessing import get_context

import numpy as np
import pytest

from nas.engine import node_cache
from nas.engine.node_cache import local_copy
from trainers.data.cache import VolumeCache

fork = get_context("fork")


@pytest.fixture
def shared(phantom):
    return phantom[0].folder


@pytest.fixture
def node(tmp_path):
    return tmp_path / "node"


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_is_read_like_the_cache_itself(shared, node, phantom):
    cache, (name, *_) = VolumeCache.open(local_copy(shared, node)), phantom[0].names
    assert cache.folder.parent == node
    np.testing.assert_array_equal(cache.image(name), phantom[0].image(name))
    np.testing.assert_array_equal(cache.label(name), phantom[0].label(name))


def test_processes_that_ask_at_once_get_one_copy(shared, node, tmp_path, monkeypatch):
    copy, log = node_cache._copy, tmp_path / "copies"

    def slow(shared, draft):
        with log.open("a") as file:
            file.write("one\n")
        time.sleep(0.3)
        copy(shared, draft)

    monkeypatch.setattr(node_cache, "_copy", slow)
    barrier, answers = fork.Barrier(3), fork.Queue()

    def ask():
        barrier.wait()
        answers.put(local_copy(shared, node))

    processes = [fork.Process(target=ask) for _ in range(3)]
    for process in processes:
        process.start()
    folders = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(folders) == 1
    assert content(folders.pop()) == content(shared)
    assert log.read_text() == "one\n"


def test_a_copy_that_was_killed_is_made_again(shared, node, monkeypatch):
    def dies(shared, draft):
        (draft / "index.json").write_bytes((shared / "index.json").read_bytes())
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(node_cache, "_copy", dies)
        process = fork.Process(target=local_copy, args=(shared, node))
        process.start()
        process.join()
    (draft,) = (path for path in node.iterdir() if path.is_dir())
    copy = local_copy(shared, node)
    assert content(copy) == content(shared)
    assert not draft.exists()


def test_a_copy_that_has_lost_a_file_is_made_again(shared, node):
    (local_copy(shared, node) / "labels").unlink()
    assert content(local_copy(shared, node)) == content(shared)


def test_another_cache_has_another_copy(shared, node, tmp_path):
    other = tmp_path / shared.name  # the same name, of other data
    other.mkdir()
    (other / "index.json").write_text("{}")
    assert local_copy(other, node) != local_copy(shared, node)


def test_without_room_the_shared_volumes_are_used(shared, node, monkeypatch):
    monkeypatch.setattr(node_cache, "SPARE", 2**60)
    warnings = []
    assert local_copy(shared, node, warnings.append) == shared
    assert "MiB are needed" in warnings[0]
    assert str(shared) in warnings[0]


def test_a_folder_where_others_may_write_is_not_used(shared, node):
    node.mkdir()
    node.chmod(0o777)
    with pytest.warns(UserWarning, match="others can write there"):
        assert local_copy(shared, node) == shared


def test_a_copy_is_nobody_elses(shared, node):
    local_copy(shared, node)
    assert node.stat().st_mode & 0o077 == 0
