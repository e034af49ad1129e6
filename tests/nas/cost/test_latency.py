import copy
import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nas.cost.latency import (
    Conditions,
    Latency,
    LatencyConfig,
    LatencyError,
    VolumeLatency,
    conditions_of,
)
from nas.cost.latency.machine import latency_device
from nas.cost.latency.measure import Prepared, measure_latency, measure_prepared, prepare
from nas.cost.latency.runner import Runner
from search_spaces.registry import find_preset
from trainers.errors import UserError

CPU = torch.device("cpu")
PATCH = (8, 8, 8)
QUICK = LatencyConfig(patch=PATCH, warmup=1, repeats=3, seconds=5)


def changed(**values):
    return LatencyConfig.model_validate({**QUICK.model_dump(), **values})


def network(width=2):
    return nn.Sequential(nn.Conv3d(2, width, 3, padding=1), nn.Conv3d(width, 2, 3, padding=1))


def spy(calls, net=None):
    """A network that notes in which mode and on what it is called; copies note in the same place.

    The list is bound to a function, which `copy.deepcopy` does not copy.
    """

    def note(module, args):
        (x,) = args
        threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
        calls.append((module.training, grad, tuple(x.shape), x.dtype, threads))

    net = net or network()
    net.register_forward_pre_hook(note)
    return net


def test_a_measurement_tells_its_conditions():
    latency = measure_latency(network(), 2, changed(batch=2), CPU)
    assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms
    assert latency.p50_ms > 0 <= latency.noise
    assert latency.repeats == 6
    conditions = latency.conditions
    assert conditions == conditions_of(2, changed(batch=2), CPU)
    assert conditions.shape == (2, 2, *PATCH)
    assert (conditions.backend, conditions.precision, conditions.quantisation) == (
        "eager",
        "fp32",
        None,
    )
    assert conditions.device
    assert f"torch {torch.__version__}" in conditions.text()
    assert "1 thread, fp32, eager" in conditions.text()
    assert "batch 2 of 2x8x8x8" in conditions.text()


def test_passes_are_in_eval_mode_without_gradients_on_so_many_threads():
    calls, before = [], torch.get_num_threads()
    measure_latency(spy(calls), 2, changed(warmup=4, threads=1), CPU)
    assert set(calls) == {(False, False, (1, 2, *PATCH), torch.float32, 1)}
    assert len(calls) in (1 + 4 + 6, 1 + 4 + 12, 1 + 4 + 18)  # the first one is that of preparing
    assert torch.get_num_threads() == before


def test_what_is_prepared_has_been_run_and_only_waits_to_be_timed():
    calls = []
    prepared = prepare(spy(calls), 2, QUICK, CPU)
    assert len(calls) == 1
    (latency,) = measure_prepared([prepared])
    assert len(calls) > 1 + 6
    assert latency.conditions == prepared.conditions


def test_networks_measured_together_keep_their_order():
    light, heavy = measure_prepared([prepare(network(n), 2, QUICK, CPU) for n in (1, 200)])
    assert heavy.p50_ms > 2 * light.p50_ms
    assert measure_prepared([]) == []


def test_a_pass_is_the_mean_over_all_windows():
    """By a clock that tells what the window says."""
    seen = []
    runner = Runner(
        lambda x: seen.append(float(x.max())), CPU, torch.float32, lambda work: work() or seen[-1]
    )
    prepared = Prepared(runner, QUICK, conditions_of(2, QUICK, CPU))
    windows = torch.stack([torch.full((1, 2, *PATCH), ms) for ms in (1.0, 2.0, 9.0)])
    (latency,) = measure_prepared([prepared], windows)
    assert (latency.p50_ms, latency.mean_ms, latency.windows) == (4.0, 4.0, 3)
    assert seen == [1.0, 2.0, 9.0] * (QUICK.warmup + latency.repeats)


@pytest.mark.parametrize(("training", "precision"), [(True, "fp32"), (False, "bf16")])
def test_the_network_is_left_as_it_came(training, precision):
    net = network().train(training)
    net[0].bias.requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    measure_latency(net, 2, changed(precision=precision), CPU)
    assert net.training is training
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net(torch.zeros(1, 2, *PATCH)).sum().backward()
    assert net[1].weight.grad is not None


def test_what_a_training_pass_left_behind_is_no_hindrance():
    net = find_preset("apformer-xs").build(1, 2).train()
    net(torch.randn(2, 1, 1, 32, 32))  # keeps its loss terms, and with them the graph
    terms = net.auxiliary_losses(torch.zeros(2, 1, 1, 32, 32, dtype=torch.long))
    assert measure_latency(net, 1, changed(patch=(1, 32, 32)), CPU).p50_ms > 0
    sum(terms.values()).backward()


def test_random_numbers_are_left_as_they_came():
    net = network()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    measure_latency(net, 2, QUICK, CPU)
    assert torch.equal(torch.rand(2), expected)


def test_half_precision_means_half_weights_and_input():
    calls = []
    measure_latency(spy(calls), 2, changed(precision="bf16"), CPU)
    assert {dtype for *_, dtype, _ in calls} == {torch.bfloat16}


def test_what_a_processor_cannot_do_is_a_reason():
    with pytest.raises(LatencyError, match=r"bf16 with eager on cpu: .*avg_pool3d.*BFloat16"):
        measure_latency(
            nn.Sequential(network(), nn.AvgPool3d(2)), 2, changed(precision="bf16"), CPU
        )


def test_a_network_that_does_not_run_is_a_reason():
    with pytest.raises(LatencyError, match=r"fp32 with eager on cpu: .*channels"):
        measure_latency(network(), 3, QUICK, CPU)


@pytest.mark.parametrize("error", [MemoryError("no more"), OSError("disk full")])
def test_want_of_memory_and_of_disk_pass_as_they_are(error):
    def fail(*_):
        raise error

    net = network()
    net.register_forward_pre_hook(fail)
    with pytest.raises(type(error)):
        measure_latency(net, 2, QUICK, CPU)


def test_a_volume_is_predicted_window_by_window():
    calls = []
    config = changed(volume=(8, 8, 24), overlap=0.5, batch=2)  # starts 0, 4, ... 16: 5 windows
    latency = measure_latency(spy(calls), 2, config, CPU)
    assert {shape for _, _, shape, *_ in calls} == {(2, 2, *PATCH)}  # the last pass is filled up
    patches = len(calls) - 3 * 3  # three volumes of three passes
    assert patches in (1 + 1 + 6, 1 + 1 + 12, 1 + 1 + 18)
    volume = latency.volume
    assert (volume.shape, volume.overlap, volume.repeats) == ((8, 8, 24), 0.5, 3)
    assert volume.p50_ms > latency.p50_ms


def test_volumes_and_slices_a_second():
    volume = VolumeLatency(
        shape=(240, 240, 155), overlap=0.25, p50_ms=500.0, mean_ms=510.0, repeats=3
    )
    assert volume.volumes_per_s == 2
    assert volume.frames_per_s == 310


def test_a_plane_network_takes_a_slice():
    net = find_preset("apformer-xs").build(1, 2)
    latency = measure_latency(net, 1, changed(patch=(1, 32, 32)), CPU)
    assert latency.conditions.shape == (1, 1, 1, 32, 32)


@pytest.mark.parametrize(
    "volume",
    [None, VolumeLatency(shape=(9, 8, 7), overlap=0.25, p50_ms=5.0, mean_ms=6.0, repeats=3)],
)
def test_a_latency_survives_json(volume):
    conditions = conditions_of(2, QUICK, CPU)
    latency = Latency(
        p50_ms=1.5,
        p90_ms=2.0,
        p99_ms=3.0,
        mean_ms=1.6,
        repeats=60,
        warmup=3,
        noise=0.01,
        conditions=conditions,
        volume=volume,
    )
    assert Latency.from_json(json.loads(json.dumps(latency.to_json()))) == latency
    assert Conditions.from_json(json.loads(json.dumps(conditions.to_json()))) == conditions


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"repeats": 2}, "greater than or equal to 3"),
        ({"seconds": 0}, "greater than 0"),
        ({"threads": 0}, "greater than 0"),
        ({"overlap": 1}, "less than 1"),
        ({"device": "gpu"}, "match pattern"),
        ({"patch": (8, 8)}, "Field required"),
        ({"resources": {"edge": 0}}, "greater than 0"),
        ({"precision": "int8"}, "precision int8 with backend eager"),
        ({"precision": "int8", "backend": "compile"}, "precision int8 with backend compile"),
        (
            {"precision": "int8", "backend": "onnxruntime", "device": "cuda:1"},
            "precision int8 with device cuda:1",
        ),
        (
            {"precision": "bf16", "backend": "onnxruntime"},
            "precision bf16 with backend onnxruntime",
        ),
        ({"precision": "int8", "backend": "tensorrt"}, "tensorrt: TensorRT takes other int8"),
        ({"backend": "openvino", "device": "cuda"}, "backend openvino with device cuda"),
        ({"clocks": "locked"}, "Extra inputs are not permitted"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(values, problem):
    with pytest.raises(ValidationError, match=problem):
        changed(**values)


def test_auto_is_where_the_trials_train():
    assert LatencyConfig().device_beside("cuda") == "cuda"
    assert LatencyConfig(device="cpu").device_beside("cuda") == "cpu"
    assert latency_device(LatencyConfig(), CPU) == CPU


def test_a_device_that_is_not_there_is_refused():
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(UserError, match=f"latency.device = {missing}"):
        latency_device(LatencyConfig(device=missing), CPU)


def test_more_threads_than_processors_are_refused():
    with pytest.raises(UserError, match=r"latency.threads = 100000; expected \d+ at most"):
        conditions_of(2, changed(threads=100_000), CPU)


def test_a_missing_package_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr("nas.cost.latency.machine.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"onnx is not installed; pip install 'segnas\[onnx\]'"):
        conditions_of(2, changed(backend="onnxruntime"), CPU)


@pytest.mark.parametrize("backend", ["graph", "tensorrt"])
def test_what_needs_a_gpu_is_refused_without(backend):
    with pytest.raises(ValidationError, match=f"backend {backend} with device cpu"):
        changed(backend=backend, device="cpu")
    with pytest.raises(UserError, match=f"{backend} needs a GPU"):
        conditions_of(2, changed(backend=backend), CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_computes_what_the_network_computes():
    net, x = network(), torch.randn(1, 2, *PATCH, device="cuda")
    told = changed(backend="graph")
    with torch.inference_mode():
        found = prepare(net, 2, told, torch.device("cuda")).runner.forward(x)
        assert torch.allclose(found, net.cuda()(x), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "told"),
    [({}, True), ({"batch": 2}, False), ({"precision": "bf16"}, False)],
)
def test_conditions_say_where_single_images_are_onednns(values, told):
    text = "oneDNN for single images"  # else an old search would go on with other latencies
    assert (text in conditions_of(2, changed(**values), CPU).runtime) == told


def test_a_missing_compiler_is_told(monkeypatch):
    inductor = pytest.importorskip("torch._inductor.cpp_builder")

    def none():
        raise inductor.exc.InvalidCxxCompiler

    monkeypatch.setattr(inductor, "get_cpp_compiler", none)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        conditions_of(2, changed(backend="compile"), CPU)
