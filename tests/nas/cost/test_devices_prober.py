"""Several probers side by side: their figures stay apart, and one that is away ends nothing."""

from time import monotonic

import pytest

from nas.cost.devices import DeviceLatencies
from nas.cost.devices.command import CommandDevice
from nas.cost.devices.file_prober import FileProber
from nas.cost.devices.onnx_exporter import OnnxExporter
from nas.cost.failure import AwayError, Failure, Waiting
from nas.cost.latency import LatencyConfig
from nas.cost.latency_probe import ProbeTask
from nas.engine.open_prober import open_devices
from search_spaces.registry import find_preset
from tests.nas.probers import DeviceProber, devices_prober, latency
from trainers.errors import UserError

SMALL, LARGE = find_preset("hybrid-xs"), find_preset("hybrid-s")
TASK = ProbeTask(
    channels=1,
    classes=2,
    latency=LatencyConfig(patch=(16, 16, 16), backend="onnxruntime"),
    device="cpu",
)


@pytest.fixture
def here():
    return DeviceProber("workstation", lambda a: 1.0 if a == SMALL else 2.0)


@pytest.fixture
def clinic():
    return DeviceProber("laptop", lambda a: 10.0 if a == SMALL else 20.0)


def p50s(answers):
    return [{name: one.p50_ms for name, one in each.known.items()} for each in answers]


def test_each_figure_is_of_its_device(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    found = prober.conditions().devices
    assert {name: one.device for name, one in found.items()} == {
        "here": "workstation",
        "clinic": "laptop",
    }
    prober.submit([SMALL, LARGE])
    assert p50s(prober.poll()) == [{"here": 1.0, "clinic": 10.0}, {"here": 2.0, "clinic": 20.0}]
    assert prober.poll()[1].known["clinic"].conditions.device == "laptop"


def test_it_is_under_way_until_the_slowest_has_answered(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    clinic.ready = False
    prober.submit([SMALL])
    assert prober.poll() is None
    here.away = True  # it has answered: nobody asks it again
    clinic.ready = True
    assert p50s(prober.poll()) == [{"here": 1.0, "clinic": 10.0}]


def test_one_that_is_away_waits_and_is_opened_again_later(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    prober.submit([SMALL])
    clinic.away = True
    [found] = prober.poll()
    assert found.waiting == {"clinic": "laptop does not answer"}
    assert list(found.known) == ["here"]
    prober.submit([LARGE])  # still away
    assert prober.poll()[0].waiting
    clinic.away = False
    prober.submit([LARGE])
    assert p50s(prober.poll()) == [{"here": 2.0, "clinic": 20.0}]
    assert clinic.opened == 2


def test_only_some_devices_are_asked(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    prober.submit([SMALL], only=["clinic"])
    assert p50s(prober.poll()) == [{"clinic": 10.0}]
    assert here.sets == []


def test_a_network_that_does_not_run_on_one_is_a_failure(here):
    phone = DeviceProber("phone", lambda a: Failure("latency: no ONNX export"))
    prober = devices_prober(here=here, phone=phone)
    prober.submit([SMALL])
    assert prober.poll() == [Failure("phone: latency: no ONNX export")]


def test_a_figure_of_other_conditions_waits(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    prober.conditions()
    clinic.machine = "another laptop"
    prober.submit([SMALL])
    [found] = prober.poll()
    assert p50s([found]) == [{"here": 1.0}]
    assert "other conditions now, another laptop" in found.waiting["clinic"]
    assert "did under laptop" in found.waiting["clinic"]


def test_conditions_of_an_earlier_session_count(here, clinic):
    clinic.away = True
    prober = devices_prober(here=here, clinic=clinic)
    assert prober.conditions().devices["clinic"] is None
    assert prober.away == {"clinic": "laptop does not answer"}
    prober.expect({"clinic": DeviceProber("old laptop", None).conditions()})
    clinic.away = False
    prober.submit([SMALL])
    assert "other conditions" in prober.poll()[0].waiting["clinic"]


def test_all_are_closed(here, clinic):
    prober = devices_prober(here=here, clinic=clinic)
    prober.submit([SMALL])
    prober.close()
    assert here.closed
    assert clinic.closed


def opened(**devices):
    config = LatencyConfig.model_validate(
        {"patch": [16] * 3, "warmup": 0, "repeats": 3, "seconds": 0.01, "devices": devices}
    )
    return open_devices(ProbeTask(channels=1, classes=2, latency=config, device="cpu"))


def test_what_can_never_measure_is_refused_with_its_name(tmp_path):
    prober = opened(clinic={"url": "http://127.0.0.1:9", "token_file": str(tmp_path / "token")})
    with pytest.raises(UserError, match=r"latency.devices.clinic: .*token cannot be read"):
        prober.conditions()
    prober = opened(phone={"command": ["./nowhere"]})
    with pytest.raises(UserError, match=r"latency.devices.phone: command: ./nowhere is no program"):
        prober.conditions()


def test_a_command_gets_the_network_as_a_file_and_its_numbers_come_back(tmp_path):
    """The real export: the size of the file in bytes stands for milliseconds."""
    prober = opened(phone={"command": ["sh", "-c", "wc -c < {file}"]})
    conditions = prober.conditions().devices["phone"]
    assert (conditions.device, conditions.threads) == ("phone", None)
    prober.submit([SMALL])
    while (answers := prober.poll(1.0)) is None:
        pass
    prober.close()
    [found] = answers
    assert isinstance(found, DeviceLatencies)
    assert found.known["phone"].p50_ms > 10_000  # a network, not a stub
    assert found.known["phone"].conditions == conditions


class Copying(OnnxExporter):
    """Writes the key of a network in the place of the network, in no time."""

    def export(self, architecture, weights, file, ended):
        file.write_text(f"{architecture.key}\n")
        return None


@pytest.fixture
def phone():
    """The answers of a phone for networks, of which a shell script measures the key."""

    def phone(script, networks):
        device = CommandDevice("phone", ["sh", "-c", script], TASK.latency, (1, 1, 16, 16, 16))
        prober = FileProber(TASK, device, Copying(TASK))
        prober.submit(networks)
        while (answers := prober.poll(1.0)) is None:
            pass
        prober.close()
        return answers

    return phone


def test_of_a_set_one_that_a_command_fails_for_holds_up_no_other(phone):
    script = f"grep -qv {LARGE.key} {{file}} && echo 5"
    small, large, again = phone(script, [SMALL, LARGE, SMALL])
    assert (small.p50_ms, again.p50_ms) == (5.0, 5.0)
    assert large == Waiting("sh ended with 1: it said nothing")


def test_once_a_device_is_away_the_rest_of_a_set_waits_with_it():
    class Agent:
        asked = 0

        def conditions(self):
            self.asked += 1
            if self.asked > 1:
                raise AwayError("nobody there")

        def measure(self, file, ended):
            return latency(5.0)

    agent = Agent()
    prober = FileProber(TASK, agent, Copying(TASK))
    prober.submit([SMALL, LARGE, SMALL])
    while (answers := prober.poll(1.0)) is None:
        pass
    assert answers == [latency(5.0), Waiting("nobody there"), Waiting("nobody there")]
    assert agent.asked == 2


def test_a_prober_that_is_closed_ends_the_command_and_takes_another_set():
    command = ["sh", "-c", "sleep 60"]
    device = CommandDevice("phone", command, TASK.latency, (1, 1, 16, 16, 16))
    prober, started = FileProber(TASK, device, Copying(TASK)), monotonic()
    prober.submit([SMALL, LARGE])
    assert prober.poll(0.2) is None
    prober.close()
    assert monotonic() - started < 10
    prober.submit([SMALL])
    prober.close()
