"""Which libraries a command may load: a light one answers at once, whatever is installed.

Each is run in a process of its own and told which of the heavy libraries it has loaded at its end.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.pinned.runs import STORED
from tests.processes import printed_by

HEAVY = {"torch", "monai", "ray", "mlflow", "optuna", "matplotlib"}
HEAVY |= {"onnxruntime", "openvino"}
REPORT = {"optuna", "matplotlib"}

# Command, what it returns, and what it may load. SEARCH is the folder of a search, EMPTY is none.
COMMANDS = [
    ("--help", 0, set()),
    ("cost --help", 0, set()),
    ("search --help", 0, set()),
    ("compress --help", 0, set()),
    ("join --help", 0, set()),
    ("spaces", 0, set()),
    ("spaces --json", 0, set()),
    ("presets --space hybrid", 0, {"torch", "monai"}),  # networks are built, to count them
    ("front SEARCH", 0, set()),
    ("front SEARCH --plot --within params<=1e9", 0, set()),
    ("compare SEARCH EMPTY", 2, {"optuna"}),
    ("fetch --mirror http://127.0.0.1:9", 0, set()),
    ("fetch heart --mirror ftp://127.0.0.1 --to EMPTY", 2, set()),
    ("check --help", 0, set()),
    ("check EMPTY", 2, set()),
    ("init --help", 0, set()),
    ("init EMPTY", 2, set()),
    ("search EMPTY", 2, set()),
    ("front EMPTY", 2, set()),
    ("export EMPTY --pick knee --to NEW", 2, set()),
    ("export SEARCH --pick unknown --to NEW", 2, {"optuna"}),  # looked for beyond the front, too
    ("explain --help", 0, set()),
    ("probe --help", 0, set()),
    ("report SEARCH", 0, REPORT),
    ("report EMPTY", 2, REPORT),
]

# What the processes of a search import, and what they may load. Real ones, after an epoch and after
# a measurement, are in test_worker_imports.py and test_probe_process.py.
PROCESSES = [
    ("nas.engine.trial_worker", {"ray"}),  # before it may compute, which it waits for
    ("nas.engine.train_from_scratch", {"torch"}),
    ("nas.engine.supernet.worker", {"ray"}),
    ("nas.engine.fine_tune", {"torch"}),
    ("nas.cost.latency_probe.child_main", {"torch"}),
    ("nas.engine.remote_latency_probe", {"ray"}),
    ("nas.cost.devices.agent_server", set()),
    ("nas.cost.devices.agent_child", set()),
]

PROGRAM = """
import sys
from nas.cli.main import main
code = 0
try:
    code = main(sys.argv[2:])
except SystemExit as left:  # of --help
    code = left.code
finally:
    found = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
    print("LOADED", code, *found)
"""


@pytest.mark.parametrize(
    ("command", "code", "allowed"), COMMANDS, ids=[command for command, *_ in COMMANDS]
)
def test_a_light_command_loads_no_more_than_it_needs(
    command: str, code: int, allowed: set[str], tmp_path: Path
) -> None:
    version_0_1 = STORED["search"].parent / "version_0_1"
    shutil.copytree(version_0_1 / "search", tmp_path / "SEARCH")
    (tmp_path / "EMPTY").mkdir()
    words = (",".join(sorted(HEAVY)), *command.split())
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    printed = printed_by(PROGRAM, *words, cwd=tmp_path, env=environment)
    _, returned, *loaded = printed.splitlines()[-1].split()
    assert (int(returned), set(loaded) - allowed) == (code, set())


@pytest.mark.parametrize(("module", "allowed"), PROCESSES, ids=[name for name, _ in PROCESSES])
def test_a_process_of_a_search_loads_no_more_than_it_needs(module: str, allowed: set[str]) -> None:
    heavy = HEAVY | {"nibabel", "scipy", "thop"}
    program = f"import {module}, sys; print(*({heavy} & set(sys.modules)))"
    assert set(printed_by(program, cwd=Path(__file__).parents[3]).split()) <= allowed
