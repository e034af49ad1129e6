"""The conditions under which a latency was measured: two are compared only where they agree."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cost.latency.config import LatencyConfig
from nas.cost.latency.record import Record
from trainers.errors import UserError

if TYPE_CHECKING:  # reading conditions takes no PyTorch
    import torch

RUNTIMES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
}


class Conditions(Record):
    """What two latencies must have in common to be compared.

    `shape`: (B, C, D, H, W) of one pass. `device`: the name of the GPU or the processor. `driver`:
    that of the GPU; for a processor, the operating system. `quantisation`: how int8 was reached,
    None for other precisions. `runtime`: the library that ran the network, with its version.
    `threads`: None where nobody knows, as on a device that a command of the user's measures on.
    """

    device: str
    driver: str
    threads: int | None
    precision: str
    quantisation: str | None
    backend: str
    runtime: str
    shape: tuple[int, ...]

    def text(self) -> str:
        """One line."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}, "
        precision = " ".join(filter(None, (self.precision, self.quantisation)))
        batch, channels, *size = self.shape
        return (
            f"{self.device} ({self.driver}), {threads if self.threads else ''}{precision}, "
            f"{self.backend} "
            f"({self.runtime}), batch {batch} of {'x'.join(map(str, (channels, *size)))}"
        )


def conditions_text(latency: Mapping[str, Any]) -> str:
    """The conditions of a latency, which is given as JSON has it, on one line."""
    return Conditions.from_json(latency["conditions"]).text()


def conditions_of(channels: int, config: LatencyConfig, device: torch.device) -> Conditions:
    """The conditions that a measurement on this machine would have.

    Raises UserError where this machine lacks what they need, ValueError where the patch is still
    open.
    """
    from nas.cost.latency.machine import check_machine

    check_machine(config, device)
    if config.patch is None:
        raise ValueError("latency.patch is None; expected the size of one patch")
    return Conditions(
        device=device_name(device),
        driver=_driver(device),
        threads=config.threads,
        precision=config.precision,
        quantisation=config.quantisation if config.precision == "int8" else None,
        backend=config.backend,
        runtime=_runtime(config, device),
        shape=(config.batch, channels, *config.patch),
    )


def device_name(device: torch.device) -> str:
    """The card's or the processor's name."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return processor_name()


def processor_name() -> str:
    """That of this machine."""
    facts = Path("/proc/cpuinfo")  # of Linux, where `platform` does not know it
    lines = facts.read_text().splitlines() if facts.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    return next(models, "") or platform.processor() or platform.machine()


def _driver(device: torch.device) -> str:
    if device.type != "cuda":
        return platform.system()
    import torch

    facts = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", facts.read_text()) if facts.exists() else None
    return f"driver {found[0] if found else 'unknown'}, CUDA {torch.version.cuda}"


def _runtime(config: LatencyConfig, device: torch.device) -> str:
    if config.backend in RUNTIMES:
        return file_runtime(config.backend)
    import torch

    alone = config.batch == 1 and config.precision == "fp32" and device.type == "cpu"
    single = " with oneDNN for single images" if alone and config.backend == "eager" else ""
    return f"torch {torch.__version__}{single}"


def file_runtime(module: str) -> str:
    """What runs ONNX files: the distribution of `onnxruntime`, `openvino` or `tensorrt` that is
    installed, with its version; beside the last one that of ONNX Runtime, which calls it."""
    beside = f", {file_runtime('onnxruntime')}" if module == "tensorrt" else ""
    for name in RUNTIMES[module]:
        try:
            return f"{name} {version(name)}{beside}"
        except PackageNotFoundError:
            continue
    # A Jetson has its system's TensorRT, which no distribution of Python's brings.
    return f"{module} {'of the system' if beside else 'missing'}{beside}"


def backend_of(runtime: str) -> str:
    """The backend of what `file_runtime` told, here or elsewhere."""
    first = runtime.partition(" ")[0]
    known = {name: module for module, names in RUNTIMES.items() for name in (module, *names)}
    return known.get(first, first)


def accelerator() -> tuple[str, str]:
    """Name and driver of this machine's first NVIDIA GPU, without PyTorch.

    Raises UserError where there is none.
    """
    board = Path("/proc/device-tree/model")  # a Jetson has no nvidia-smi
    if board.exists() and (name := board.read_text().strip("\0\n")).startswith("NVIDIA"):
        return name, platform.release()
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    query = ["nvidia-smi", "-i", first, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
        name, driver = told.splitlines()[0].split(", ")
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise UserError("no NVIDIA GPU is to be seen here; use --runtime onnxruntime") from error
    return name, f"driver {driver}"
