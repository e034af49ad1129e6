import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.cluster_utils import Cluster as Nodes
from rich.console import Console

from nas.cli.main import parser
from nas.config.resources import Resources
from nas.config.run_config import RunConfig
from nas.engine import cluster
from nas.engine import tune_adaptors as adaptors
from nas.engine.cluster import Cluster, refuse_another
from nas.engine.slots import Machine, count_slots, matches
from nas.engine.tune_run import request
from nas.search.run import run_search
from trainers.errors import UserError

SEARCH = {
    "name": "test",
    "data": {"source": "phantom", "cases": 4, "shape": [24, 24, 24], "organs": 3},
    "space": {"restrict": {"width": [4], "levels": [3], "anchors": [0]}},
    "train": {"patch": [24, 24, 24], "epochs": 4, "steps_per_epoch": 2, "batch": 1},
    "objectives": ["dice", "params"],
    "search": {"trials": 4, "baselines": [], "early_stopping": None},
    "tracking": {"enabled": False},
}


@pytest.mark.parametrize(
    ("wanted", "offers", "room"),
    [
        ({"cpus": 2}, {"CPU": 5}, 2),
        ({"gpus": 0.25}, {"CPU": 16, "GPU": 2}, 8),
        ({"gpus": 0.4}, {"CPU": 16, "GPU": 2}, 4),  # two a GPU: a trial has no part of two
        ({"gpus": 0.1}, {"CPU": 16, "GPU": 1}, 10),
        ({"gpus": 2}, {"CPU": 16, "GPU": 5}, 2),
        ({"gpus": 0.5}, {"CPU": 3, "GPU": 4}, 3),
        ({"gpus": 1}, {"CPU": 16}, 0),
        ({"custom": {"scratch": 0.5}}, {"CPU": 16, "scratch": 2}, 4),
        ({"custom": {"scratch": 1}}, {"CPU": 16}, 0),
    ],
)
def test_a_machine_has_room_for_whole_trials(wanted, offers, room):
    assert Machine("m", offers).room(Resources(**wanted)) == room


@pytest.mark.parametrize(
    ("label", "rule", "fits"),
    [
        ("a100", "a100", True),
        ("a100", "h100", False),
        (None, "a100", False),
        ("a100", "!a100", False),
        (None, "!a100", True),
        ("h100", "in(a100, h100)", True),
        ("t4", "in(a100,h100)", False),
        ("t4", "!in(a100,h100)", True),
    ],
)
def test_labels_are_read_as_ray_reads_them(label, rule, fits):
    assert matches(label, rule) is fits


def test_machines_are_filled_one_by_one():
    """Three CPUs each hold one trial of two: 2, though six CPUs would hold 3."""
    machines = [Machine("a", {"CPU": 3}), Machine("b", {"CPU": 3})]
    assert count_slots(Resources(cpus=2), machines) == 2
    assert count_slots(Resources(cpus=2, concurrent=1), machines) == 1
    assert count_slots(Resources(cpus=2, concurrent=9), machines) == 2


def test_where_no_machine_holds_a_trial_it_is_said_what_there_is():
    machines = [Machine("alpha", {"CPU": 3.0, "node:10.0.0.1": 1.0, "memory": 1e9})]
    with pytest.raises(UserError, match=r"cpus = 1, gpus = 0\.5.*there is alpha \(3 CPU\)"):
        count_slots(Resources(gpus=0.5), machines)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:x"])
def test_an_address_where_nobody_answers_is_refused(address):
    with pytest.raises(UserError, match=rf"--address {address}: nobody answers.*ray start --head"):
        Cluster(Resources(), address).start()


def test_an_address_without_a_port_is_refused():
    with pytest.raises(UserError, match=r"expected auto, HOST:PORT or ray://"):
        Cluster(Resources(), "head").start()


def checked(monkeypatch, tmp_path, answer):
    monkeypatch.setattr(Cluster, "driver_node", "a")
    nodes = [Machine("alpha", {"CPU": 1}, id="a"), Machine("beta", {"CPU": 1}, id="b")]
    monkeypatch.setattr(Cluster, "machines", lambda _: nodes)
    monkeypatch.setattr(cluster, "_ask", lambda nodes, token: {n.name: answer for n in nodes})
    Cluster(Resources(), "auto").check(tmp_path)


def test_a_node_that_does_not_see_the_folder_is_named(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"not seen by beta;.*shared file system"):
        checked(monkeypatch, tmp_path, {"sees": False, "versions": {}})
    assert list(tmp_path.iterdir()) == []


def test_a_node_with_another_version_is_named(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"beta: torch 1\.0, here"):
        checked(monkeypatch, tmp_path, {"sees": True, "versions": {"torch": "1.0"}})


def test_a_node_without_segnas_is_named(monkeypatch, tmp_path):
    error = "it cannot run segnas: ModuleNotFoundError: No module named 'nas'"
    with pytest.raises(UserError, match=f"beta: {error}"):
        checked(monkeypatch, tmp_path, {"error": error})


def test_a_node_that_dies_is_noticed_before_ray_knows_and_for_a_moment_after(monkeypatch):
    wanted = Cluster(Resources(), "auto")
    known = {"Alive": True, "NodeID": "a", "NodeManagerAddress": "127.0.0.1"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        known["NodeManagerPort"] = server.getsockname()[1]
        nodes = [known, {**known, "NodeID": "z", "Alive": False}]  # dead since long ago
        monkeypatch.setattr(ray, "nodes", lambda: nodes)
        assert not wanted.loses_a_node()
    assert wanted.loses_a_node()
    known["Alive"] = False
    assert wanted.loses_a_node()
    monkeypatch.setattr(cluster, "AFTERMATH", 0.0)
    assert not wanted.loses_a_node()


def test_trials_of_another_user_on_a_machine_that_measures_are_refused():
    refuse_another(os.geteuid())
    with pytest.raises(UserError, match=rf"those of user {os.geteuid() + 1}, .* as one user"):
        refuse_another(os.geteuid() + 1)


@pytest.fixture
def nodes():
    """A head without room for trials; a test adds the nodes."""
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0})
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
def test_trials_go_where_their_resources_and_labels_are_and_joining_nodes_count(nodes, tmp_path):
    gpu = nodes.add_node(num_cpus=4, resources={"scratch": 2}, labels={"kind": "fast"})
    nodes.add_node(num_cpus=4, resources={"scratch": 2}, labels={"kind": "slow"})
    wanted = Resources(custom={"scratch": 1}, labels={"kind": "fast"})
    with Cluster(wanted, nodes.address) as running:
        assert running.slots == 2
        group = request(wanted).to_placement_group()
        ray.get(group.ready(), timeout=60)
        (place,) = ray.util.placement_group_table(group)["bundles_to_node_id"].values()
        assert place == gpu.node_id
        running.check(tmp_path)
        running.check_user()
        nodes.add_node(num_cpus=1, resources={"scratch": 1}, labels={"kind": "fast"})
        nodes.wait_for_nodes()
        assert running.room == 3


@pytest.mark.slow
def test_a_search_survives_the_loss_of_a_node_and_trains_nothing_again(
    nodes, tmp_path, monkeypatch
):
    """Two nodes of two trials; one is killed once a trial of its has trained two epochs of four.

    No trial may lose its worker by its own fault, so that a loss that counts would end it.
    """
    first = nodes.add_node(num_cpus=2, resources={"trials": 2})
    second = nodes.add_node(num_cpus=2, resources={"trials": 2})
    heard, reports, victims = adaptors.SessionScheduler.on_trial_result, [], []

    def listen(scheduler, controller, trial, result):
        key, epoch = trial.config["key"], result["report"].epoch
        reports.append((key, epoch))
        decision = heard(scheduler, controller, trial, result)
        if not victims and epoch == 2:
            raylet = psutil.Process(result["pid"]).ppid()
            dying = {node.all_processes["raylet"][0].process.pid: node for node in (first, second)}
            victims.append(key)
            nodes.remove_node(dying[raylet], allow_graceful=False)
        return decision

    monkeypatch.setattr(adaptors.SessionScheduler, "on_trial_result", listen)
    retries = {"search": {**SEARCH["search"], "retries": 0}}
    run = RunConfig.model_validate({**SEARCH, **retries, "resources": {"custom": {"trials": 1}}})
    outcome = run_search(run, tmp_path, Console(file=io.StringIO()), nodes.address)
    assert (outcome.summary.trials, outcome.summary.infeasible) == (4, 0)
    (victim,) = victims
    # It went on from its checkpoint: no epoch was reported twice.
    assert [epoch for key, epoch in reports if key == victim] == [1, 2, 3, 4]


REMOTE = """
import sys
from nas.engine.remote_driver import drive
sys.exit(drive(sys.argv[1], sys.argv[2:]))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def head(monkeypatch):
    """`ray start --head` with a Ray Client server. Yields ray://HOST:PORT."""
    pytest.importorskip("grpc")
    # A token file that some process here has left would have the two refuse each other.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    folder = tempfile.mkdtemp(prefix="head", dir="/tmp")  # sockets have short paths
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *("--num-cpus=2", "--include-dashboard=false", f"--temp-dir={folder}"),
            *(f"--port={free_port()}", f"--ray-client-server-port={port}"),
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.5)
    yield f"ray://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_over_ray_client_the_search_runs_on_the_head_and_is_heard_and_stopped_here(head, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.dump(SEARCH))
    arguments = ["search", str(tmp_path / "config.yaml"), "--dir", str(tmp_path / "search")]
    command = [sys.executable, "-c", REMOTE, head, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4/4 trials" in done.stdout
    more = [*command, "--set", "search.trials=1000"]
    with subprocess.Popen(more, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "5/1000 trials" in line:
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130


FILES = Path(__file__).parents[3] / "configs" / "cluster"


def test_the_ray_cluster_file_is_one_by_rays_own_schema():
    config = yaml.safe_load((FILES / "ray.yaml").read_text())
    validate_config(prepare_config(config))


def test_the_search_of_the_kubernetes_job_is_one():
    claim, job = yaml.safe_load_all((FILES / "rayjob.yaml").read_text())
    told = job["spec"]["entrypoint"].split()
    options = parser().parse_args(told[1:])
    assert (told[0], options.address) == ("segnas", "auto")
    group = job["spec"]["rayClusterSpec"]
    templates = [group["headGroupSpec"], *group["workerGroupSpecs"]]
    for pod in (template["template"]["spec"] for template in templates):
        (shared,) = (v for v in pod["volumes"] if "persistentVolumeClaim" in v)
        assert shared["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        mounts = [mount for c in pod["containers"] for mount in c["volumeMounts"]]
        (mount,) = (m for m in mounts if m["name"] == shared["name"])
        assert options.dir.is_relative_to(mount["mountPath"])


def test_the_slurm_script_hands_the_end_of_its_time_on_and_is_queued_again(tmp_path):
    """Played with commands that write down how they are called; `segnas` ends as Ctrl-C ends it."""
    tools = {
        "scontrol": 'echo "scontrol $*" >> calls; echo node1; echo node2',
        "srun": 'echo "srun $*" >> calls; case "$*" in *hostname*) echo 10.0.0.1;; esac',
        "python": "cat > /dev/null; echo 2 of 2 nodes",
        "segnas": (
            'echo "segnas $*" >> calls; trap "echo ended >> calls; exit 130" TERM; '
            "touch begun; while true; do sleep 0.1; done"
        ),
    }
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").write_text(f"PATH={tmp_path}/bin:$PATH\n")
    for name, script in tools.items():
        tool = tmp_path / "bin" / name
        tool.write_text(f"#!/bin/bash\n{script}\n")
        tool.chmod(0o755)
    job = {"JOB_ID": "7", "JOB_NODELIST": "node[1-2]", "JOB_NUM_NODES": "2", "CPUS_PER_TASK": "8"}
    environment = {**os.environ, "SEGNAS_VENV": str(tmp_path)}
    environment |= {f"SLURM_{name}": value for name, value in job.items()}
    process = subprocess.Popen(
        ["bash", FILES / "slurm.sh", "c.yaml", tmp_path / "ct", "--set", "resources.gpus=1"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=30) == 130
    calls = (tmp_path / "calls").read_text().splitlines()
    search = f"segnas search c.yaml --dir {tmp_path}/ct --address 10.0.0.1:20007"
    assert f"{search} --set resources.gpus=1" in calls
    assert calls[-2:] == ["ended", "scontrol requeue 7"]
    assert sum("ray start" in call for call in calls) == 2
    assert list((tmp_path / "ct").iterdir()) == []  # no token is left
