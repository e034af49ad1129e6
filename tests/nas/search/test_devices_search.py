"""A real search with latencies on this machine, by a device agent, and by a command."""

import io
import json
from threading import Thread

import pytest
from rich.console import Console

from nas.cost.devices.agent_messages import make_token
from nas.cost.devices.agent_server import Agent
from nas.search.run import run_search
from tests.nas.small_run import config

DEVICES = ("here", "clinic", "phone")


@pytest.mark.slow
def test_a_search_trades_off_latencies_of_three_kinds_of_devices(tmp_path):
    """Agent and command measure on this machine, too: their figures are real, but not apart."""
    token = tmp_path / "token"
    with Agent("127.0.0.1", 0, make_token(token), lambda _: None) as agent:
        Thread(target=agent.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{agent.server_port}"
        run = config(
            search={"trials": 2, "sampler": "random", "baselines": [], "confirm": 0.0},
            objectives=["dice", "latency_ms"],
            budget={"latency_ms@clinic": 1e4},
            latency={
                "warmup": 0,
                "repeats": 3,
                "seconds": 0.1,
                "devices": {
                    "here": {},
                    "clinic": {"url": url, "token_file": str(token)},
                    "phone": {"command": ["sh", "-c", "wc -c < {file}"]},
                },
            },
        )
        console = Console(file=io.StringIO(), width=300)
        outcome = run_search(run, tmp_path / "search", console)
        agent.shutdown()
    printed = console.file.getvalue()
    assert outcome.summary.trials == 2
    for member in outcome.members:
        assert {f"latency_ms@{name}" for name in DEVICES} <= set(member.costs)
        assert set(member.latencies) == set(DEVICES)
        assert member.latencies["clinic"]["conditions"]["backend"] == "onnxruntime"
        assert member.latencies["phone"]["noise"] is None
    assert "Latency on clinic" in printed
    assert "Measuring the" in printed  # the front again, on all of them
    front = json.loads((tmp_path / "search" / "front.json").read_text())
    assert front["objectives"] == ["dice", *(f"latency_ms@{name}" for name in DEVICES)]
    # The agent has gone: the search goes on, and trains nothing that it had.
    again = run_search(run, tmp_path / "search", console)
    assert {m.key for m in again.members} == {m.key for m in outcome.members}
