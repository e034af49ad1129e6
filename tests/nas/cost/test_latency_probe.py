"""What the prober of this machine decides, with children that follow a script."""

import json
from collections import deque
from time import monotonic, sleep

import numpy as np
import pytest

from nas.cost.failure import reason_of
from nas.cost.latency import Conditions, Latency, LatencyConfig
from nas.cost.latency_probe import Failure, ProbeTask, Trained, local
from nas.cost.latency_probe.local import STARTS, LocalProber
from search_spaces.hybrid import SPACE
from search_spaces.space import RandomTrial
from trainers.errors import UserError

QUICK = LatencyConfig(patch=(8, 8, 8), warmup=1, repeats=3, seconds=0.01, timeout=60)
TASK = ProbeTask(channels=1, classes=2, latency=QUICK, device="cpu")
CONDITIONS = Conditions(
    device="a clock",
    driver="1.0",
    threads=1,
    precision="fp32",
    quantisation=None,
    backend="eager",
    runtime="torch 2",
    shape=(1, 1, 8, 8, 8),
)
LATENCY = Latency(
    p50_ms=1.0,
    p90_ms=2.0,
    p99_ms=3.0,
    mean_ms=1.5,
    repeats=6,
    warmup=1,
    noise=0.01,
    conditions=CONDITIONS,
)
A, B, C = (SPACE.sample(RandomTrial(seed)) for seed in range(3))


class Script:
    """Starts children that do what it says, and keeps what they were asked to measure.

    `deaths`: what the first children die of before they do anything. `build`, `timing`: what is
    told instead where the network of this key is built, or is among those timed. `seconds`: how
    long building, waiting for the machine lock and timing took.
    """

    def __init__(self, deaths=(), build=None, timing=None, seconds=(0, 0, 0)):
        self.deaths, self.build, self.timing = deque(deaths), build or {}, timing or {}
        self.seconds, self.asked, self.children = seconds, [], []

    def __call__(self, task):
        self.children.append(Scripted(self, self.deaths.popleft() if self.deaths else None))
        return self.children[-1]

    @property
    def started(self):
        return len(self.children)


class Scripted:
    def __init__(self, script, death):
        self.script, self.dead = script, death is not None
        self.messages = deque([{"died": death}] if self.dead else [])

    def send(self, message):
        if self.dead:
            return self.messages.append({"died": "crashed (SIGKILL)"})
        script, keys = self.script, [record["key"] for record in message["measure"]]
        script.asked.append(keys)
        building, waiting, timing = script.seconds
        measured = monotonic() - timing
        built = measured - waiting
        for index, key in enumerate(keys):
            self.messages.append({"stage": "build", "index": index, "at": built - building})
            if key in script.build:
                return self.messages.append(script.build[key])
        self.messages.append({"stage": "wait", "at": built})
        self.messages.append({"stage": "measure", "at": measured})
        if not timing:
            last = [script.timing[key] for key in keys if key in script.timing]
            self.messages.extend(last or [{"latencies": [LATENCY.to_json()] * len(keys)}])

    def receive(self, seconds):
        return self.messages.popleft() if self.messages else None

    def end(self):
        self.messages.clear()


def measured(script, *architectures, task=TASK):
    prober = LocalProber(task, script)
    prober.submit(architectures)
    return prober.poll()


def test_a_set_is_measured_together():
    script = Script()
    assert measured(script, A, B, C) == [LATENCY] * 3
    assert script.asked == [[A.key, B.key, C.key]]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"failed": "out of memory: 1 TB"}, "latency: out of memory: 1 TB"),
        ({"died": "crashed (SIGSEGV)"}, "latency: crashed (SIGSEGV)"),
    ],
)
def test_what_fails_while_it_is_built_leaves_the_others_together(told, reason):
    script = Script(build={B.key: told})
    assert measured(script, A, B, C) == [LATENCY, Failure(reason), LATENCY]
    assert script.asked == [[A.key, B.key, C.key], [A.key, C.key]]
    assert script.started == 2


def test_where_nobody_knows_who_is_to_blame_each_is_measured_alone():
    script = Script(timing={B.key: {"died": "crashed (SIGKILL)"}})
    assert measured(script, A, B, C) == [LATENCY, Failure("latency: crashed (SIGKILL)"), LATENCY]
    assert script.asked == [[A.key, B.key, C.key], [A.key], [B.key], [C.key]]
    assert script.started == 3  # the second one measured A and died of B


@pytest.mark.parametrize(
    ("count", "seconds", "late"),
    [
        (1, (50, 0, 9), False),
        (1, (50, 0, 11), True),  # building and timing together took more than 60 s
        (1, (50, 1000, 9), False),  # waiting for the trials does not count
        (3, (50, 0, 129), False),  # 60 s each
        (3, (50, 0, 131), True),
    ],
)
def test_the_limit_holds_for_building_and_timing_and_not_for_waiting(count, seconds, late):
    script = Script(seconds=seconds)
    prober = LocalProber(TASK, script)
    prober.submit([A, B, C][:count])
    answers = prober.poll()
    if late and count == 1:
        assert answers == [Failure("latency: timed out after 60 s")]
    else:
        assert answers is None
        assert (script.started > 1) == late  # another process looks at each of them alone


@pytest.mark.parametrize(("seconds", "late"), [((50, 0, 7 * 60), False), ((50, 0, 8 * 60), True)])
def test_the_limit_holds_for_each_window_of_a_pass(seconds, late, tmp_path):
    np.save(tmp_path / "windows.npy", np.zeros((8, 1, 1, 8, 8, 8), np.float32))
    prober = LocalProber(TASK, Script(seconds=seconds))
    prober.submit([A], Trained([None], tmp_path / "windows.npy"))
    assert (prober.poll() is not None) == late


def test_a_process_that_does_not_start_is_tried_again_and_then_an_error():
    death = "crashed (exit status 1): No module named 'torch'"
    assert measured(Script([death] * (STARTS - 1)), A) == [LATENCY]
    with pytest.raises(UserError, match=r"does not work: .*No module named 'torch'"):
        measured(Script([death] * STARTS), A)


def test_a_process_that_died_in_between_is_no_networks_fault():
    script = Script()
    prober = LocalProber(TASK, script)
    prober.submit([A])
    assert prober.poll() == [LATENCY]
    script.children[0].dead = True
    prober.submit([B])
    assert prober.poll() == [LATENCY]
    assert script.started == 2


def test_what_no_network_is_to_blame_for_is_an_error():
    script = Script(build={A.key: {"refused": "needs a C++ compiler"}})
    with pytest.raises(UserError, match=r"^needs a C\+\+ compiler"):
        measured(script, A)


def test_one_set_at_a_time():
    prober = LocalProber(TASK, Script(seconds=(0, 0, 1)))
    prober.submit([A])
    with pytest.raises(RuntimeError, match="under way"):
        prober.submit([B])
    prober.close()
    prober.submit([])
    assert prober.poll() == []


class Mute:
    """A child that hangs while it imports."""

    def __init__(self, task):
        self.ended = False

    def send(self, message):
        pass

    def receive(self, seconds):
        sleep(min(seconds, 0.01))

    def end(self):
        self.ended = True


@pytest.fixture
def hasty(monkeypatch):
    """A prober whose children hang, and these."""
    monkeypatch.setattr(local, "IMPORTS", 0.0)
    latency = QUICK.model_copy(update={"timeout": 0.05})
    children = []

    def start(task):
        children.append(Mute(task))
        return children[-1]

    return LocalProber(TASK.model_copy(update={"latency": latency}), start), children


def test_a_process_that_hangs_before_it_tells_its_conditions_is_told(hasty):
    prober, children = hasty
    with pytest.raises(UserError, match=r"measures latencies hung: .* 0\.05 s after its start"):
        prober.conditions()
    assert [child.ended for child in children] == [True]


def test_processes_that_hang_before_they_measure_are_no_networks_fault(hasty):
    prober, children = hasty
    prober.submit([A])
    with pytest.raises(UserError, match=r"does not work: hung: it did nothing for"):
        while prober.poll(0.01) is None:
            pass
    assert [child.ended for child in children] == [True] * STARTS


def test_a_task_survives_its_json():
    task = ProbeTask(
        channels=1,
        classes=2,
        latency=LatencyConfig(patch=(8, 16, 8), resources={"probe": 1}),
        device="cuda",
        seed=3,
        machine_lock="0-abc",
    )
    assert ProbeTask.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert ProbeTask.from_json(json.loads(json.dumps(TASK.to_json()))) == TASK


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory: MemoryError"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried\nmore"),
            "out of memory: DefaultCPUAllocator: can't allocate memory: you tried",
        ),
        (ValueError("shape (1, 2)\nmore"), "ValueError: shape (1, 2)"),
    ],
)
def test_a_reason_is_one_line(error, reason):
    assert reason_of(error) == reason
