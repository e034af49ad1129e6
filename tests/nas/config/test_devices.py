"""`latency.devices`: who measures on each, and what latencies are called then."""

import re
from pathlib import Path

import pytest

from nas.config.run_config import RunConfig
from nas.config.yaml_file import config_yaml, read_config
from trainers.errors import UserError

NO_URL = "expected http://HOST:PORT, a port up to 65535 and nothing behind it"
AGENT = "url: 'http://10.0.0.7:8765'"
RUN = """
name: several
data: {{source: phantom}}
train: {{patch: [32, 32, 32]}}
latency: {latency}
{more}
"""


@pytest.fixture
def read(tmp_path):
    def read(latency, more="", settings=()):
        path = tmp_path / "run.yaml"
        path.write_text(RUN.format(latency=latency, more=more))
        return read_config(RunConfig, path, settings)

    return read


def test_latency_stands_for_that_on_each_device(read):
    run = read(f"{{devices: {{here: {{}}, clinic: {{{AGENT}}}}}}}", "budget: {latency_ms: 40}")
    assert run.objectives == ("dice", "params", "latency_ms@here", "latency_ms@clinic")
    assert run.budget.limits() == {"latency_ms@here": 40, "latency_ms@clinic": 40}
    assert run.needs_latency


def test_one_of_them_is_an_objective_and_another_a_limit(read):
    more = "objectives: [dice, latency_ms@clinic]\nbudget: {latency_ms: 40, latency_ms@here: 9}"
    run = read(f"{{devices: {{here: {{}}, clinic: {{{AGENT}}}}}}}", more)
    assert run.objectives == ("dice", "latency_ms@clinic")
    assert run.budget.limits() == {"latency_ms@here": 9, "latency_ms@clinic": 40}


def test_devices_can_be_set_on_a_command_line(read):
    settings = ["latency.devices.here={}", "latency.devices.box.resources.edge=1"]
    run = read("{}", settings=[*settings, "budget.latency_ms@box=30"])
    assert list(run.latency.devices) == ["here", "box"]
    assert run.budget.limits() == {"latency_ms@box": 30}


def test_each_device_differs_from_latency_by_its_own_keys(read):
    devices = f"{{here: {{}}, box: {{resources: {{edge: 1}}, device: cuda}}, clinic: {{{AGENT}}}}}"
    latency = read(f"{{threads: 2, backend: compile, devices: {devices}}}").latency
    here, box, clinic = map(latency.on, latency.devices)
    assert (here.backend, here.device, here.resources) == ("compile", "auto", {})
    assert (box.backend, box.device, box.resources) == ("compile", "cuda", {"edge": 1})
    assert (clinic.backend, clinic.threads) == ("onnxruntime", 2)
    assert latency.nodes
    assert latency.here


def test_a_file_may_be_int8_beside_a_gpu_that_measures_itself(read):
    phone = "phone: {command: [run, '{file}'], precision: int8}"
    devices = f"{{here: {{}}, clinic: {{{AGENT}, precision: int8}}, {phone}}}"
    latency = read(f"{{device: cuda, backend: graph, devices: {devices}}}").latency
    found = [latency.on(name) for name in latency.devices]
    assert [each.device for each in found] == ["cuda", "cpu", "cpu"]
    assert [each.precision for each in found[1:]] == ["int8", "int8"]


def test_a_configuration_with_devices_is_written_and_read_back(read, tmp_path):
    run = read(
        "{devices: {here: {threads: 1}, phone: {command: [run, '{file}'], precision: int8}}}",
        "budget: {latency_ms@phone: 5}",
    )
    (tmp_path / "again.yaml").write_text(config_yaml(run))
    assert read_config(RunConfig, tmp_path / "again.yaml") == run


def test_without_devices_nothing_of_them_is_written(read):
    run = read("{}")
    assert "devices" not in config_yaml(run)
    assert "@" not in config_yaml(run)
    assert run.objectives == ("dice", "params", "latency_ms")


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ("{a b: {}}", "latency.devices.a b = 'a b': expected a letter"),
        ("{1st: {}}", "expected a letter, then letters, digits, - and _, 32 at most"),
        ("[here]", r"latency.devices = \['here'\]: expected keys and values"),
        ("{here: 3}", "latency.devices.here = 3: expected keys and values"),
        ("{here: {url: 'ftp://box'}}", "devices.here.url = 'ftp://box': expected http://HOST:PORT"),
        (
            "{here: {url: 'http://a:1/x'}}",
            NO_URL,
        ),
        (
            "{here: {url: 'http://a:70000'}}",
            NO_URL,
        ),
        (
            "{here: {url: 'http://a..b:1'}}",
            NO_URL,
        ),
        ("{here: {uri: a}}", "devices.here.uri is not a key of `latency.devices.here`. Did you"),
        ("{here: {threads: 0}}", "latency.devices.here.threads = 0"),
        (f"{{here: {{{AGENT}, command: [a]}}}}", "here: url and command: each says who measures"),
        (f"{{here: {{{AGENT}, backend: eager}}}}", "here: backend with url: the device gets an"),
        ("{here: {command: [a], threads: 2}}", "here: threads with command: the command decides"),
        ("{here: {token_file: a}}", "here: token_file without url"),
        ("{here: {command: a}}", "here.command = 'a': expected a list"),
        ("{here: {command: ['']}}", "here.command.0 = ''"),
        ("{here: {backend: graph, device: cpu}}", "devices.here: backend graph with device cpu"),
    ],
)
def test_a_device_that_cannot_be_is_refused_by_its_name(read, devices, told):
    with pytest.raises(UserError, match=told):
        read(f"{{devices: {devices}}}")


def test_resources_of_all_do_not_stand_beside_devices(read):
    with pytest.raises(UserError, match="resources beside devices: each device has its own"):
        read("{resources: {edge: 1}, devices: {here: {}}}")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("objectives: [dice, latency_ms@box]", "objectives: latency_ms@box .* latency_ms@here"),
        ("objectives: [dice, params@here]", "'params@here' is none; expected of dice, params"),
        ("budget: {latency_ms@box: 3}", "budget: latency_ms@box is of a device .* does not name"),
        ("budget: {latency_ms@here: -3}", "budget.latency_ms@here = -3: Input should be greater"),
        ("budget: {latency_ms@: 3}", "budget.latency_ms@ is not a key of `budget`"),
        (
            "budget: {latency: 3}",
            "budget.latency is not a key of `budget`. Did you mean latency_ms",
        ),
    ],
)
def test_a_latency_of_no_such_device_is_refused(read, more, told):
    with pytest.raises(UserError, match=told):
        read("{devices: {here: {}}}", more)


def test_without_devices_there_is_no_latency_of_one(read):
    with pytest.raises(UserError, match=r"latency_ms@box is of a device .*; expected latency_ms$"):
        read("{}", "objectives: [dice, latency_ms@box]")


def test_the_examples_of_the_page_are_configurations(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "latency.md").read_text()
    examples = re.findall(r"```yaml\n(name: .*?)```", page, re.DOTALL)
    found = []
    for example in examples:
        (tmp_path / "run.yaml").write_text(example)
        found.append(read_config(RunConfig, tmp_path / "run.yaml").latency.devices)
    assert [list(devices) for devices in found] == [
        ["here", "box"],
        ["here", "clinic"],
        ["here", "phone"],
    ]
    *_, phone = found[2].values()
    assert phone.command == ("./on_phone.sh", "{file}")
