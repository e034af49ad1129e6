"""Connecting to a cluster from elsewhere; test_cluster.py has a real one."""

import socket
from types import SimpleNamespace

import pytest
from ray.exceptions import RaySystemError

from nas.engine import remote_driver
from nas.engine.remote_driver import STARTS, connect
from trainers.errors import UserError

DEAD = ConnectionAbortedError(
    "Initialization failure from server:\nTraceback (most recent call last):\n  File ...\n"
    "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for "
    "detailed logs.\n"
)


@pytest.fixture
def address(monkeypatch):
    """Of a port where somebody listens."""
    monkeypatch.setattr(remote_driver, "PAUSE", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ray://127.0.0.1:{server.getsockname()[1]}"


def failing(*errors):
    """Connects once each of these was raised."""
    left = list(errors)

    def init(address):
        if left:
            raise left.pop(0)
        return "10.0.0.1:6379"

    return init


def test_a_server_that_dies_at_its_start_is_tried_again_and_said(address, capsys):
    assert connect(address, failing(DEAD, RaySystemError("gone"))) == "10.0.0.1:6379"
    first, second = capsys.readouterr().out.splitlines()
    assert "RuntimeError: Starting Ray client server failed." in first
    assert first.endswith("trying again (2 of 4)") and second.endswith("trying again (3 of 4)")


def test_one_that_always_dies_is_one_line_after_a_few_tries(address, capsys):
    with pytest.raises(UserError, match=r"Starting Ray client server failed\..*\(4 times\)"):
        connect(address, failing(*[DEAD] * STARTS))
    assert len(capsys.readouterr().out.splitlines()) == STARTS - 1


def test_other_versions_are_not_tried_again(address, capsys):
    mismatch = RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.1")
    with pytest.raises(UserError, match="Version mismatch"):
        connect(address, failing(mismatch))
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "why"),
    [("ray://127.0.0.1:1", "nobody answers"), ("ray://head", "expected ray://HOST:PORT")],
)
def test_where_nobody_listens_it_is_said_at_once(address, why):
    with pytest.raises(UserError, match=why):
        connect(address, failing(DEAD))


def test_letters_are_whole_where_a_chunk_ends_within_one(monkeypatch, capsys):
    text = "Dice 0.9 ± 0.1 · größer".encode()
    chunks = [text[n : n + 1] for n in range(len(text))] + [b"\xc3", b""]  # it dies within one
    left = iter(chunks)
    driver = SimpleNamespace(
        read=SimpleNamespace(remote=lambda: next(left)),
        status=SimpleNamespace(remote=lambda: 0),
    )
    ready = SimpleNamespace(wait=lambda refs, timeout: (refs, []), get=lambda ref: ref)
    monkeypatch.setattr(remote_driver, "ray", ready)
    assert remote_driver._follow(driver) == 0
    assert capsys.readouterr().out == text.decode() + "\ufffd"
