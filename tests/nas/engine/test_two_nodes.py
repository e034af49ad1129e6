"""Commands on a cluster of two nodes, and the script of SLURM with real Ray: all slow."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import ray
import yaml
from ray.cluster_utils import Cluster as Nodes
from rich.console import Console

from nas.cli.main import main
from nas.config.resources import Resources
from nas.engine.cluster import Cluster
from nas.engine.data_parallel import Workers
from nas.search.run import run_search
from tests.nas.exports import opened, same, weights_in, write_export
from tests.nas.small_run import config as small_config

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


def test_what_processes_report_through_is_lost_with_no_other_node(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
    others = [nodes.add_node(num_cpus=1) for _ in range(2)]
    try:
        nodes.wait_for_nodes()
        ray.init(address=nodes.address, log_to_driver=False)
        here = ray.get_runtime_context().get_node_id()
        queues = [Workers(1, Resources(), here)._queue() for _ in range(6)]  # else anywhere
        for number, queue in enumerate(queues):
            queue.put(number)
        for node in others:
            nodes.remove_node(node, allow_graceful=False)
        assert [queue.get(timeout=30) for queue in queues] == [*range(6)]
    finally:
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture
def two_nodes(monkeypatch):
    """A head without room, and two nodes with room for one trial each. Yields the address."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's 15 they starve beside other work
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


def test_retraining_takes_a_worker_from_each_node(
    two_nodes, tmp_path, phantom_folder, phantom, capsys
):
    folder = write_export(tmp_path / "out", phantom_folder, phantom[1], batch=6)
    new = opened(folder).build().state_dict()
    assert main(["retrain", str(folder), "--workers", "2", "--address", two_nodes]) == 0
    record = json.loads((folder / "retrained.json").read_text())
    assert (record["workers"], record["epochs"]) == (2, 2)
    assert not same(weights_in(folder / "retrained.pt"), new)
    assert "2 epochs, validation Dice" in capsys.readouterr().out
    assert main(["retrain", str(folder), "--workers", "3", "--address", two_nodes]) == 2
    assert "--workers 3: each takes a CPU" in " ".join(capsys.readouterr().err.split())


def test_retraining_by_one_worker_runs_on_a_node_and_gives_the_same_weights(
    two_nodes, tmp_path, phantom_folder, phantom
):
    here = write_export(tmp_path / "here", phantom_folder, phantom[1])
    there = write_export(tmp_path / "there", phantom_folder, phantom[1])
    assert main(["retrain", str(here)]) == 0
    assert main(["retrain", str(there), "--address", two_nodes]) == 0
    assert same(weights_in(here / "retrained.pt"), weights_in(there / "retrained.pt"))


def test_a_search_and_its_confirmation_run_on_both_nodes(two_nodes, tmp_path, capsys):
    folder = tmp_path / "run"
    search = {"trials": 3, "confirm": 0.0, "baselines": []}
    run = small_config(search=search, objectives=("dice", "params"))
    outcome = run_search(run, folder, Console(quiet=True), two_nodes)
    assert (outcome.summary.trials, outcome.summary.slots) == (3, 2)
    command = ["confirm", str(folder), "--top", "2", "--seeds", "1", "--address", two_nodes]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["confirmed"]
    assert len(told) == 2 and all(len(one["dice_of_repeats"]) == 1 for one in told)
    ended = {path.name for path in (folder / "confirm").glob("*-seed*.json")}
    assert ended == {f"{one['key']}-seed1.json" for one in told}
    assert main([*command, "--json"]) == 0  # nothing is trained again
    assert json.loads(capsys.readouterr().out)["confirmed"] == told


def test_without_an_address_a_search_has_ray_of_its_own_beside_a_cluster(two_nodes, monkeypatch):
    """Ray by itself would connect to the cluster, and refuse the number of CPUs."""
    monkeypatch.setenv("RAY_ADDRESS", two_nodes)
    with Cluster(Resources()) as here:
        here.start()
        assert len(here.machines()) == 1
        assert ray.get_runtime_context().gcs_address != two_nodes


SRUN = """
if [[ $* == *hostname* ]]; then echo 127.0.0.1; exit; fi
while [[ $1 == --* ]]; do shift; done
echo "$*" >> {calls}
exec "$@"
"""


def test_the_slurm_script_searches_on_two_nodes_of_real_ray(tmp_path):
    """`srun` starts its command here, so that both nodes are this machine; all else is real."""
    tools = {
        "scontrol": 'echo "scontrol $*" >> {calls}; echo node1; echo node2',
        "srun": SRUN,
        "segnas": f'exec "{sys.executable}" -m nas "$@"',
        "ray": f'exec "{sys.executable}" -m ray.scripts.scripts "$@"',
        "python": f'exec "{sys.executable}" "$@"',
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text(f'PATH="{tmp_path}/bin:$PATH"\n')
    for name, script in tools.items():
        tool = tmp_path / "bin" / name
        tool.write_text(f"#!/bin/bash\n{script.replace('{calls}', str(tmp_path / 'calls'))}\n")
        tool.chmod(0o755)
    run = small_config(search={"trials": 3, "baselines": []}, objectives=("dice", "params"))
    (tmp_path / "c.yaml").write_text(yaml.dump(run.model_dump(mode="json")))
    job = {"JOB_ID": str(os.getpid()), "JOB_NODELIST": "n[1-2]", "JOB_NUM_NODES": "2"}
    job["CPUS_PER_TASK"] = "1"
    environment = {**os.environ, "SEGNAS_VENV": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment["RAY_worker_niceness"] = "0"
    environment |= {f"SLURM_{name}": value for name, value in job.items()}
    process = subprocess.Popen(
        ["bash", ROOT / "configs" / "cluster" / "slurm.sh", "c.yaml", str(tmp_path / "ct")],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told = ""
        for line in process.stdout:
            told += line
            if "Next:" in line or process.poll() is not None:
                break
        assert process.wait(timeout=300) == 0, told
        assert "2 of 2 nodes" in told and "3 trials" in told
    finally:  # as SLURM ends the steps of a job that is over
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
    assert (tmp_path / "ct" / "front.json").is_file()
    starts = [c for c in (tmp_path / "calls").read_text().splitlines() if "ray start" in c]
    assert len(starts) == 2 and sum("--head" in start for start in starts) == 1
