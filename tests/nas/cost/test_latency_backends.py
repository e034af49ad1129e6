"""Networks that were compiled, exported or quantised compute what PyTorch computes."""

import logging
import shutil
import sys

import numpy as np
import pytest
import torch
from torch import nn

from nas.cost.latency import LatencyConfig, LatencyError, machine, openvino_file
from nas.cost.latency.backends import make_runner
from nas.cost.latency.machine import check_machine
from nas.cost.latency.measure import measure_latency
from nas.cost.latency.onnx_export import INPUT, OUTPUT, export_onnx
from nas.cost.latency.onnx_session import open_session, providers_for
from nas.cost.latency.openvino_file import cpu_lacks
from nas.cost.latency.quantise import int8_weights, quantise
from search_spaces.registry import find_preset
from trainers.errors import UserError

CPU = torch.device("cpu")
SIZE = (16, 16, 16)
SHAPE = (1, 1, *SIZE)

IN_ONNX = (
    "hybrid-tokens",
    "hybrid-pruned",
    "hybrid-mamba",
    "slimformer3d-tiny",
    "stp-mta-unetr-tiny",
    "lightmedseg-small",
    "deploylite-xs",
    "segresnet-s",
    "unetr-s",
)

onnxruntime = pytest.importorskip("onnxruntime")


class Plain(nn.Module):
    """Two convolutions, one transposed, and a linear layer over the channels."""

    def __init__(self, linear=True):
        super().__init__()
        self.before = nn.Conv3d(1, 8, 3, stride=2, padding=1)
        self.mix = nn.Linear(8, 8) if linear else nn.Identity()
        self.after = nn.ConvTranspose3d(8, 2, 2, stride=2)

    def forward(self, x):
        y = self.before(x).relu().movedim(1, -1)
        return self.after(self.mix(y).movedim(-1, 1))


class Moody(nn.Module):
    """Gives something else in every pass."""

    def forward(self, x):
        return x + torch.rand_like(x)


def config(**values):
    return LatencyConfig(patch=SIZE, warmup=1, repeats=3, seconds=0.2, **values)


def logits(network, x, **values):
    with torch.inference_mode():
        runner = make_runner(network, tuple(x.shape), config(**values), CPU)
        return runner.forward(x.to(runner.dtype)).float()


def expected(network, x):
    with torch.inference_mode():
        return network.eval()(x)


def difference(found, wanted):
    """Largest, relative to the largest value there should be."""
    return float((found - wanted).abs().max() / wanted.abs().max())


def close_in(name, tolerance, backend="onnxruntime", **values):
    torch.manual_seed(0)
    network = find_preset(name).build(1, 3)
    x = torch.randn(1, 1, 32, 32, 32)
    found = logits(network, x, backend=backend, **values)
    return difference(found, expected(network, x)) < tolerance


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_onnx_runtime_computes_what_pytorch_computes(precision):
    network, x = Plain(), torch.randn(SHAPE)
    found = logits(network, x, backend="onnxruntime", precision=precision)
    tolerance = 1e-5 if precision == "fp32" else 5e-3
    assert difference(found, expected(network, x)) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_ONNX)
def test_networks_of_every_family_do_so_in_onnx_runtime(name):
    assert close_in(name, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hybrid-tokens", "segresnet-s", "unetr-s"])
def test_networks_in_int8_come_near(name):
    assert close_in(name, 0.25, precision="int8")


def test_an_export_names_its_input_and_output_and_keeps_its_logging_away(tmp_path, capfd):
    path = tmp_path / "net.onnx"
    network = Plain().train()
    assert export_onnx(network, SHAPE, path) < 1e-5
    assert network.training
    session = open_session(path)
    assert [(i.name, i.shape) for i in session.get_inputs()] == [(INPUT, list(SHAPE))]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [(OUTPUT, [1, 2, *SIZE])]
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_an_export_that_computes_something_else_is_refused(tmp_path):
    with pytest.raises(LatencyError, match="no ONNX export: the logits of ONNX Runtime differ"):
        export_onnx(nn.Sequential(Plain(), Moody()), SHAPE, tmp_path / "net.onnx")


@pytest.mark.slow
def test_what_onnx_cannot_say_is_a_reason_of_one_line(tmp_path):
    class Chooses(nn.Conv3d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = super().forward(x)
            return y if y.mean() > 0 else -y

    with pytest.raises(LatencyError, match=r"no ONNX export: [^\n]+$"):
        export_onnx(Chooses(1, 2, 3), SHAPE, tmp_path / "net.onnx")


def test_tensorrt_goes_before_cuda_and_that_before_the_cpu():
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    assert [name for name, _ in providers_for(1, "fp16")] == names
    assert [name for name, _ in providers_for(1)] == names[1:]
    assert [name for name, _ in providers_for(None)] == names[2:]
    assert providers_for(1, "fp16")[0][1] == {"device_id": 1, "trt_fp16_enable": True}
    assert not providers_for(1, "fp32")[0][1]["trt_fp16_enable"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(("engine", "lacks"), [("", "CUDA or cuDNN"), ("fp32", "TensorRT")])
def test_a_gpu_that_is_not_there_is_told_and_not_replaced_by_the_cpu(exported, engine, lacks):
    with pytest.raises(UserError, match=f"ONNX Runtime finds no {lacks}|it finds no {lacks}"):
        open_session(exported[1], gpu=0, engine=engine)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = Plain().eval()
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(network, SHAPE, path)
    return network, path


def nodes(path, kind):
    onnx = pytest.importorskip("onnx")
    return [node for node in onnx.load(path).graph.node if node.op_type == kind]


@pytest.mark.parametrize(("method", "quantised"), [("static", 2), ("dynamic", 1)])
def test_int8_networks_have_int8_weights_and_come_near(exported, tmp_path, method, quantised):
    network, path = exported
    target = tmp_path / "int8.onnx"
    patches = [np.random.default_rng(n).standard_normal(SHAPE, np.float32) for n in range(3)]
    quantise(path, target, method, patches)
    assert int8_weights(path) == 0
    assert int8_weights(target) == quantised  # static: convolution and linear layer
    assert len(nodes(target, "ConvTranspose")) == 1
    assert bool(nodes(target, "QuantizeLinear")) == (method == "static")
    assert bool(nodes(target, "DynamicQuantizeLinear")) == (method == "dynamic")
    x = torch.from_numpy(patches[0])
    found = torch.from_numpy(open_session(target).run(None, {INPUT: x.numpy()})[0])
    assert 0 < difference(found, expected(network, x)) < 0.05


def test_dynamic_int8_without_a_linear_layer_is_refused(tmp_path):
    export_onnx(Plain(linear=False), SHAPE, tmp_path / "net.onnx")
    with pytest.raises(LatencyError, match="no linear layer; use quantisation static"):
        quantise(tmp_path / "net.onnx", tmp_path / "int8.onnx", "dynamic")


@pytest.mark.slow
def test_a_quantised_network_is_measured_on_its_own_terms():
    values = {"backend": "onnxruntime", "precision": "int8", "volume": (16, 16, 20)}
    latency = measure_latency(Plain(), 1, config(**values), CPU)
    assert latency.conditions.quantisation == "static"
    assert latency.conditions.runtime.startswith("onnxruntime")
    assert latency.volume.p50_ms > 0


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 5e-2), ("int8", 5e-2)]
)
def test_openvino_computes_what_pytorch_computes(precision, tolerance):
    pytest.importorskip("openvino")
    if cpu_lacks(precision):
        pytest.skip(f"OpenVINO has no {precision} on this CPU")
    torch.manual_seed(0)
    network, x = Plain(), torch.randn(SHAPE)
    found = logits(network, x, backend="openvino", precision=precision)
    assert difference(found, expected(network, x)) < tolerance
    assert (precision == "fp32") == (difference(found, expected(network, x)) < 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_ONNX)
def test_networks_of_every_family_do_so_in_openvino(name):
    pytest.importorskip("openvino")
    assert close_in(name, 1e-3, backend="openvino")


def test_a_network_in_openvino_is_measured_on_its_own_terms():
    pytest.importorskip("openvino")
    latency = measure_latency(Plain(), 1, config(backend="openvino", precision="int8"), CPU)
    assert latency.conditions.runtime.startswith("openvino 20")
    assert (latency.conditions.backend, latency.conditions.precision) == ("openvino", "int8")
    assert latency.p50_ms > 0


def test_what_this_machine_lacks_for_openvino_is_told(monkeypatch):
    asked = config(backend="openvino", precision="bf16")
    monkeypatch.setattr(openvino_file, "cpu_lacks", lambda precision: True)
    with pytest.raises(UserError, match="bf16: OpenVINO does not compute in it on this CPU"):
        check_machine(asked, CPU)
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "openvino" else name)
    with pytest.raises(UserError, match=r"openvino is not installed; pip install"):
        check_machine(asked, CPU)


compiler = pytest.mark.skipif(
    shutil.which("g++") is None or sys.platform != "linux", reason="needs a C++ compiler"
)


@compiler
@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_network_computes_what_pytorch_computes(precision):
    network, x = Plain(), torch.randn(SHAPE)
    found = logits(network, x, backend="compile", precision=precision)
    tolerance = 1e-5 if precision == "fp32" else 5e-2
    assert difference(found, expected(network, x)) < tolerance


@compiler
@pytest.mark.slow
def test_the_ninth_network_of_a_class_is_compiled_like_the_first():
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    before = counters["stats"]["unique_graphs"]
    for width in range(1, 10):
        layer = nn.Sequential(nn.Conv3d(1, width, 1))
        make_runner(layer, (1, 1, 4, 4, 4), config(backend="compile"), CPU)
    assert counters["stats"]["unique_graphs"] - before == 9
