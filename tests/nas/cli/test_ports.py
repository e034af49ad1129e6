"""Who reaches what segnas serves: this machine alone, unless told otherwise."""

import ipaddress
import socket

import psutil
import pytest

from nas.cli import probe
from nas.cli.main import parser
from nas.cost.devices.agent_messages import make_token
from nas.cost.devices.agent_server import Agent
from nas.tracking import server
from tests.nas.small_search import ended_search
from trainers.errors import UserError


def listening(process: psutil.Process) -> set[str]:
    """The addresses that it and its children listen on."""
    found = set()
    for one in [process, *process.children(recursive=True)]:
        for connection in one.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.add(connection.laddr.ip)
    return found


def is_loopback(addresses: set[str]) -> bool:
    return bool(addresses) and all(ipaddress.ip_address(one).is_loopback for one in addresses)


def test_pages_are_served_to_this_machine(tmp_path, monkeypatch):
    """By a stand-in for Python that writes down what it is told to serve."""
    monkeypatch.setattr(server.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/told; exit 1\n')
    (tmp_path / "python").chmod(0o755)
    options = parser().parse_args(["ui", str(tmp_path)])
    with (
        pytest.raises(UserError, match="did not start"),
        server.served(options.dir, options.host, options.port),
    ):
        pytest.fail("it did")
    assert " --host 127.0.0.1 " in (tmp_path / "told").read_text()


def test_an_agent_listens_to_this_machine(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = parser().parse_args(["probe", "--listen", str(port)])
    with Agent(*options.listen, make_token(tmp_path / "token"), print) as agent:
        assert agent.socket.getsockname() == ("127.0.0.1", port)
    assert parser().parse_args(["probe", "--listen"]).listen == ("127.0.0.1", int(probe.PORT))


@pytest.mark.slow
def test_no_process_of_mlflow_listens_to_others(tmp_path):
    ended_search(tmp_path)
    with server.served(tmp_path, "127.0.0.1", None) as (_, process):
        assert is_loopback(listening(psutil.Process(process.pid)))
