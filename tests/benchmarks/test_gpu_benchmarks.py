"""What is measured on a GPU runs on a CPU, and kernels are counted without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.gpu.census import Census
from benchmarks.gpu.search import CONFIG, changes
from benchmarks.gpu.share import kind_of
from benchmarks.gpu.work import Work
from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(script, *arguments):
    command = [sys.executable, str(FOLDER / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def counts(network, x, backward=False):
    network, x = network.to("meta"), x.to("meta")
    with Census() as census:
        y = network(x)
        if backward:
            y.backward(torch.ones_like(y))
    return census.counts


def test_the_search_on_a_gpu_has_a_configuration(tmp_path):
    train = {"graphs": False, "deterministic": False}
    work = Work(torch.device("cuda"), None, None, 1.0, 1, train, hippocampus=tmp_path)
    config = read_config(RunConfig, CONFIG, changes(work))
    assert config.resources.gpus == 0.1
    assert config.resources.device == "cuda"
    assert not config.train.graphs and not config.train.deterministic


def test_a_convolution_is_one_kernel_and_one_for_its_bias():
    network, x = nn.Conv3d(2, 4, 3, padding=1), torch.empty(1, 2, 100, 100, 100)
    found = counts(network.requires_grad_(False), x)
    assert found.kernels == 2
    assert found.gigamacs == round(1e6 * 4 * 2 * 27 / 1e9, 4)
    # In, weight, bias, out; and out is read and written for the bias.
    assert found.gigabytes == round(4 * (2e6 + 216 + 4 + 3 * 4e6) / 1e9, 4)


def test_views_cost_nothing_and_elementwise_operators_one_kernel_each():
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Sigmoid())
    assert counts(network, torch.empty(2, 3, 4)).kernels == 2


def test_the_backward_pass_is_counted():
    network = nn.Linear(8, 8, bias=False)
    once = counts(network, torch.empty(4, 8))
    both = counts(network, torch.empty(4, 8), backward=True)
    assert both.kernels > once.kernels
    assert both.gigamacs >= once.gigamacs


@pytest.mark.slow
def test_a_census_is_stored_and_more_kernels_are_told(tmp_path):
    file = tmp_path / "kernels.json"
    arguments = "--presets", "hybrid-xs", "unet-s", "--size", "16", "16", "16"
    written = run("kernels.py", *arguments, "--write", file)
    assert written.returncode == 0, written.stderr
    stored = json.loads(file.read_text())
    assert stored["hybrid-xs"]["training"]["kernels"] > 100
    assert stored["unet-s"]["inference"]["kernels"] > 10
    stored["unet-s"]["training"]["kernels"] -= 100
    file.write_text(json.dumps(stored))
    compared = run("kernels.py", *arguments, "--against", file)
    assert compared.returncode == 1
    assert "over 20 kernels more: unet-s training" in compared.stdout


@pytest.mark.slow
def test_a_part_that_lacks_its_data_says_so():
    told = run("on_gpu.py", "--device", "cpu", "--only", "search")
    assert told.returncode == 0, told.stderr
    assert "left out: no --hippocampus FOLDER" in told.stdout


@pytest.mark.slow
def test_every_part_that_a_cpu_can_do_gives_its_table(tmp_path):
    file = tmp_path / "on_gpu.md"
    options = ["--device", "cpu", "--seconds", "0.2", "--presets", "hybrid-xs"]
    options += ["--size", "16", "--steps", "2", "--only", "trainer", "kernels", "latency"]
    told = run("on_gpu.py", *options, "--to", file)
    assert told.returncode == 0, told.stderr
    text = file.read_text()
    assert "ended" not in text
    trainer, share, latency = text.split("## ")[1:]
    row = next(line for line in trainer.splitlines() if "| hybrid-xs | 16x16x16 |" in line)
    assert row.endswith("| yes |")  # the same seed, the same losses
    assert "| hybrid-xs | 16x16x16 |" in share
    assert "| hybrid-xs | 1x16x16x16 | eager | fp32 |" in latency
    assert "CUDA graphs need a GPU" in latency


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("void at::native::RowwiseMomentsCUDAKernel<float>", "norms"),
        ("sm90_xmma_fprop_implicit_gemm_bf16", "convolutions"),
        ("sm90_xmma_gemm_bf16bf16", "products"),
        ("void cudnn::ops::nchwToNhwcKernel", "copies"),
        ("vectorized_elementwise_kernel<4, silu>", "others"),
    ],
)
def test_kernels_are_told_apart_by_their_names(kernel, kind):
    assert kind_of(kernel) == kind
