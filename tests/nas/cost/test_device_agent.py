"""The device agent: what it refuses, and figures over a real connection."""

import gc
import http.client
import json
import stat
from contextlib import contextmanager
from threading import Event, Thread, Timer
from time import monotonic

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nas.cli.main import main
from nas.cli.probe import address
from nas.cost.devices import agent_child, agent_device, agent_server
from nas.cost.devices.agent_child import measure_file
from nas.cost.devices.agent_device import AgentDevice
from nas.cost.devices.agent_messages import MOST_BYTES, ORDER_HEADER, Order, make_token, read_token
from nas.cost.devices.agent_server import Agent
from nas.cost.failure import AwayError, Failure
from nas.cost.latency import LatencyConfig
from nas.cost.latency.conditions import file_runtime, processor_name
from nas.cost.latency.openvino_file import compile_file, cpu_lacks
from trainers.errors import UserError

TOKEN = "a token of some length"
SHAPE = (1, 1, 8, 8, 8)
QUICK = LatencyConfig(
    backend="onnxruntime", patch=SHAPE[2:], warmup=1, repeats=3, seconds=0.01, timeout=60
)
ORDER = Order(threads=1, warmup=0, repeats=3, seconds=0.01, timeout=60)
NOT_EXPECTED = Event()  # of a search that goes on


def write_network(path, shape=SHAPE, kind=TensorProto.FLOAT):
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "logits")]
    graph = helper.make_graph([helper.make_node("Neg", ["image"], ["logits"])], "neg", *[
        [end] for end in ends
    ])  # fmt: skip
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@contextmanager
def served():
    said = []
    with Agent("127.0.0.1", 0, TOKEN, said.append) as agent:
        thread = Thread(target=agent.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        agent.said = said
        try:
            yield agent
        finally:
            agent.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def agent():
    with served() as agent:
        yield agent


def device(agent, token=TOKEN, config=QUICK):
    return AgentDevice(f"http://127.0.0.1:{agent.server_port}", token, config, SHAPE)


def asked(agent, method="POST", path="/latency", token=TOKEN, order=ORDER, length=None, body=b""):
    """The status and the answer to a request made by hand."""
    connection = http.client.HTTPConnection("127.0.0.1", agent.server_port, timeout=30)
    connection.putrequest(method, path)
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader(ORDER_HEADER, order if isinstance(order, str) else order.model_dump_json())
    if length != "":
        connection.putheader("Content-Length", len(body) if length is None else length)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def test_it_listens_on_the_loopback_unless_told_otherwise(agent):
    assert address("8765") == ("127.0.0.1", 8765)
    assert address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert address("[::1]:80") == ("::1", 80)
    assert agent.socket.getsockname()[0] == "127.0.0.1"


def test_the_figures_of_a_file_come_back_with_the_conditions(agent, tmp_path):
    found = device(agent).measure(write_network(tmp_path / "net.onnx"), NOT_EXPECTED)
    assert 0 < found.p50_ms < 1e3
    assert (found.repeats, found.warmup) == (6, 1)
    assert found.conditions == device(agent).conditions()
    assert found.conditions.device == processor_name()
    assert found.conditions.runtime == file_runtime("onnxruntime")
    assert (found.conditions.backend, found.conditions.shape) == ("onnxruntime", SHAPE)
    assert agent.said[-1].startswith("measured a file of")


@pytest.mark.parametrize(
    ("runtime", "backend"),
    [
        ("openvino 2026.4.1", "openvino"),
        ("tensorrt-cu13 10.9, onnxruntime-gpu 1.31", "tensorrt"),
        ("tensorrt of the system, onnxruntime-gpu 1.31", "tensorrt"),
        ("onnxruntime-gpu 1.31", "onnxruntime"),
    ],
)
def test_the_conditions_name_what_ran_the_file(agent, monkeypatch, runtime, backend):
    there = agent.machine.model_copy(update={"runtime": runtime})
    monkeypatch.setattr(agent, "machine", there)
    assert f"fp32, {backend} ({runtime})" in device(agent).conditions().text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_agent_for_tensorrt_needs_an_onnx_runtime_with_it():
    with pytest.raises(UserError, match=r"tensorrt: this onnxruntime is built without|no NVIDIA"):
        Agent("127.0.0.1", 0, TOKEN, print, "tensorrt")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["", "a token of some lengtH", f"{TOKEN} "[:-2]])
def test_who_does_not_know_the_token_is_told_nothing(agent, method, token):
    path = "/machine" if method == "GET" else "/latency"
    status, told = asked(agent, method, path, token=token, length=MOST_BYTES)  # and none is read
    assert (status, told) == (401, {"error": "the token is not that of this agent"})


def test_a_wrong_token_is_told_with_what_to_do(agent):
    with pytest.raises(UserError, match="has another token; copy its file") as raised:
        device(agent, "another token").conditions()
    assert not isinstance(raised.value, AwayError)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(agent):
    status, told = asked(agent, length=MOST_BYTES + 1)
    assert (status, told["error"]) == (
        413,
        f"the file is too large; expected {MOST_BYTES} bytes at most",
    )


@pytest.mark.parametrize("length", ["", "many", "-1"])
def test_a_file_of_no_length_is_refused(agent, length):
    assert asked(agent, length=length)[0] == 411


@pytest.mark.parametrize("order", ["", "{}", '{"threads": 0}', "[" * 60_000])
def test_an_order_that_says_nothing_is_refused(agent, order):
    assert asked(agent, order=order)[0] == 400


def test_other_paths_are_refused(agent):
    assert asked(agent, "GET", "/")[0] == 404
    assert asked(agent, "POST", "/machine")[0] == 404


def test_what_is_no_onnx_file_is_a_failure_of_the_network(agent, tmp_path):
    (tmp_path / "text.onnx").write_text("no network at all")
    found = device(agent).measure(tmp_path / "text.onnx", NOT_EXPECTED)
    assert isinstance(found, Failure)
    assert found.reason.startswith("latency: ")


@pytest.mark.parametrize(
    ("child", "told"),
    [
        ("kill -TERM $$", r"crashed \(SIGTERM\)"),  # as a reboot does
        ("echo 'No module named nas' >&2; exit 1", "No module named nas"),
        ("exit 3", "exit status 3"),
        ("""echo '{"away": "it finds no TensorRT"}'""", "it finds no TensorRT"),
    ],
)
def test_a_fault_of_the_device_is_none_of_the_network(agent, tmp_path, monkeypatch, child, told):
    (tmp_path / "child").write_text(f"#!/bin/sh\n{child}\n")
    (tmp_path / "child").chmod(0o755)
    monkeypatch.setattr(agent_server.sys, "executable", str(tmp_path / "child"))
    with pytest.raises(AwayError, match=f"answers 500: .*{told}"):
        device(agent).measure(write_network(tmp_path / "a.onnx"), NOT_EXPECTED)


@pytest.mark.parametrize(
    ("child", "told"),
    [
        ("kill -SEGV $$", "crashed (SIGSEGV)"),
        ("""echo '{"failed": "no such operator"}'; exit 1""", "no such operator"),
    ],
)
def test_what_a_file_does_to_its_runtime_is_its_own(agent, tmp_path, monkeypatch, child, told):
    (tmp_path / "child").write_text(f"#!/bin/sh\n{child}\n")
    (tmp_path / "child").chmod(0o755)
    monkeypatch.setattr(agent_server.sys, "executable", str(tmp_path / "child"))
    found = device(agent).measure(write_network(tmp_path / "a.onnx"), NOT_EXPECTED)
    assert found == Failure(f"latency: {told}")


def test_who_is_overtaken_while_its_file_travels_tries_again(agent, tmp_path, monkeypatch):
    monkeypatch.setattr(agent_device, "BUSY", 0.02)
    free = agent.machine.model_copy(update={"busy": False})
    monkeypatch.setattr(AgentDevice, "_machine", lambda self: free)  # as it was before the upload
    agent.measuring.acquire()
    Timer(0.3, agent.measuring.release).start()
    found = device(agent).measure(write_network(tmp_path / "net.onnx"), NOT_EXPECTED)
    assert found.repeats == 6


def test_a_measurement_ends_after_its_time(agent, tmp_path):
    config = QUICK.model_copy(update={"timeout": 0.01})
    found = device(agent, config=config).measure(write_network(tmp_path / "a.onnx"), NOT_EXPECTED)
    assert found == Failure("latency: timed out after 0.01 s")


def test_of_two_at_once_one_is_sent_away(agent, tmp_path):
    with agent.measuring:
        status, told = asked(agent, body=write_network(tmp_path / "a.onnx").read_bytes())
        assert (status, told) == (503, {"error": "another file is measured now"})
        assert asked(agent, "GET", "/machine")[1]["busy"]


def test_a_search_waits_for_that_of_another(agent, tmp_path, monkeypatch):
    monkeypatch.setattr(agent_device, "BUSY", 0.02)
    agent.measuring.acquire()
    release = Timer(0.3, agent.measuring.release)
    release.start()
    started = monotonic()
    found = device(agent).measure(write_network(tmp_path / "net.onnx"), NOT_EXPECTED)
    assert monotonic() - started > 0.3
    assert found.repeats == 6


def test_an_agent_that_has_gone_is_away(tmp_path):
    with served() as agent:
        known = device(agent)
        assert known.conditions()
    with pytest.raises(AwayError, match="does not answer"):
        known.conditions()
    with pytest.raises(AwayError, match="does not answer"):
        known.measure(write_network(tmp_path / "net.onnx"), NOT_EXPECTED)


def test_more_threads_than_its_cpus_are_refused_at_the_door(agent):
    many = QUICK.model_copy(update={"threads": 10_000})
    with pytest.raises(UserError, match=r"threads = 10000; expected \d+ at most, the CPUs of http"):
        device(agent, config=many).conditions()


def test_what_no_agent_measures_is_refused_at_the_door(agent):
    long = QUICK.model_copy(update={"timeout": 1e6})
    with pytest.raises(UserError, match=r"timeout = 1000000\.0: .*3600"):
        device(agent, config=long)


def test_half_precision_is_measured(tmp_path):
    file = write_network(tmp_path / "half.onnx", kind=TensorProto.FLOAT16)
    assert min(measure_file(file, ORDER).first) > 0
    assert gc.isenabled()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_openvino_measures_too(tmp_path, kind):
    pytest.importorskip("openvino")
    if kind == TensorProto.FLOAT16 and cpu_lacks("fp16"):
        pytest.skip("OpenVINO has no fp16 on this CPU")
    file = write_network(tmp_path / "network.onnx", kind=kind)
    assert min(measure_file(file, ORDER, "openvino").first) > 0
    odd = write_network(tmp_path / "odd.onnx", shape=(1, 1, "n", 8, 8))
    with pytest.raises(ValueError, match=r"its inputs are .*float32.*; expected one, of floats"):
        measure_file(odd, ORDER, "openvino")


@pytest.mark.parametrize(
    ("kind", "precision"), [(TensorProto.FLOAT, "fp32"), (TensorProto.FLOAT16, "fp16")]
)
def test_openvino_computes_in_the_precision_of_the_file(tmp_path, monkeypatch, kind, precision):
    pytest.importorskip("openvino")
    compiled = []

    def compiles(path, asked, threads):
        compiled.append(asked)
        return compile_file(path, "fp32", threads)  # which every CPU has

    monkeypatch.setattr(agent_child, "compile_file", compiles)
    monkeypatch.setattr(agent_child, "cpu_lacks", lambda precision: False)
    measure_file(write_network(tmp_path / "network.onnx", kind=kind), ORDER, "openvino")
    assert compiled == [precision]


def test_float16_that_openvino_would_compute_otherwise_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(agent_child, "cpu_lacks", lambda precision: precision == "fp16")
    half = write_network(tmp_path / "half.onnx", kind=TensorProto.FLOAT16)
    with pytest.raises(ValueError, match="it is fp16, which OpenVINO does not compute in on this"):
        measure_file(half, ORDER, "openvino")


def test_a_precision_that_the_agent_lacks_is_refused_at_the_door(agent, monkeypatch):
    lacking = agent.machine.model_copy(update={"lacks": ("fp16",)})
    monkeypatch.setattr(agent, "machine", lacking)
    half = QUICK.model_copy(update={"precision": "fp16"})
    with pytest.raises(UserError, match=r"precision = fp16: onnxruntime .* use fp32 or int8"):
        device(agent, config=half).conditions()
    assert device(agent).conditions()


@pytest.mark.parametrize(
    ("shape", "kind"), [((1, 1, "n", 8, 8), TensorProto.FLOAT), (SHAPE, TensorProto.INT64)]
)
def test_a_network_of_other_inputs_says_what_they_are(tmp_path, shape, kind):
    with pytest.raises(ValueError, match=r"its inputs are tensor\(.*; expected one, of floats"):
        measure_file(write_network(tmp_path / "a.onnx", shape, kind), ORDER)


def test_a_token_is_made_once_for_its_owner_alone(tmp_path):
    file = tmp_path / "new" / "token"
    token = make_token(file)
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert make_token(file) == read_token(file) == token


def test_a_file_without_a_token_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: .*; `segnas probe --listen` makes one"):
        read_token(tmp_path / "missing")
    (tmp_path / "short").write_text("secret\n")
    with pytest.raises(UserError, match="holds no token; expected one line of 16 or more"):
        read_token(tmp_path / "short")


def test_the_two_runs_are_summed_up_as_on_this_machine(agent, tmp_path):
    """p50 of both runs together, and how far their medians differ, by hand."""
    found = device(agent).measure(write_network(tmp_path / "net.onnx"), NOT_EXPECTED)
    assert found.p50_ms <= found.p90_ms <= found.p99_ms
    assert np.isfinite(found.noise)


def test_an_address_that_cannot_be_had_is_named(tmp_path, capsys):
    words = ["--listen", "192.0.2.1:8765", "--token-file", str(tmp_path / "token")]
    assert main(["probe", *words]) == 2
    assert "--listen 192.0.2.1:8765: Cannot assign" in capsys.readouterr().err
