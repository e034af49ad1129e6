"""From an exported folder to a deployed one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from nas.cost.latency import LatencyConfig, LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.onnx_export import OPSET
from nas.cost.latency.quantise import quantise
from nas.cost.latency.timing import threads_set
from nas.export.deploy.bundle import check_bundle, write_bundle
from nas.export.deploy.errors import DeployError
from nas.export.deploy.formats import write_network
from nas.export.deploy.latency import time_both
from nas.export.deploy.parity_check import CheckCase, calibration, check
from nas.export.deploy.record import Deployment, Format, Precision
from nas.export.deploy.runtime import Deployed, open_file
from nas.export.export_folder import Export
from trainers.atomic import make_folder
from trainers.errors import UserError
from trainers.segmenter import Segmenter

FILES = {
    "bundle": "models/model.ts",
    "onnx": "network.onnx",
    "torch-export": "network.pt2",
    "torchscript": "network.ts",
}
PACKAGES = (
    "segnas", "torch", "monai", "nibabel", "numpy", "psutil", "onnx", "onnxscript", "onnxruntime",
)  # fmt: skip

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is deployed. `strides`: windows are multiples of them; `weights`: which, in a word."""

    segmenter: Segmenter
    strides: tuple[int, ...]
    name: str
    key: str
    weights: str

    @classmethod
    def of(cls, export: Export) -> Source:
        """The network of an exported folder with its weights."""
        first, *others = export.architecture.strides()
        return cls(
            segmenter=export.segmenter(),
            strides=(first, *others) if len(others) == 2 else (first,) * 3,
            name=export.config.name,
            key=export.architecture.key,
            weights=export.weights.stem,
        )


def deploy(
    source: Source,
    cases: Sequence[CheckCase],
    kind: Format,
    precision: Precision,
    to: Path,
    latency: LatencyConfig | None = None,
    progress: Progress = lambda _: None,
) -> Deployment:
    """Write the folder `to`, whole and checked on `cases`, or nothing.

    Raises DeployError where the network does not go into this format and precision, or does not
    agree with PyTorch; UserError where `to` is there already or a package is missing.
    """
    if precision == "int8" and kind != "onnx":
        raise DeployError(
            f"--format {kind} --precision int8: PyTorch has no int8 convolution of three axes; "
            "use --format onnx, or --precision fp16"
        )
    if to.exists():
        raise UserError(f"{to} exists already; give --to a new folder")
    if not cases:
        raise UserError("there is no case to check with; use --check-images FOLDER")
    config = (latency or LatencyConfig()).model_copy(update={"patch": source.segmenter.task.patch})

    def build(folder: Path) -> None:
        with threads_set(config.threads):
            _build(folder, source, cases, kind, precision, config, progress)

    try:
        make_folder(to, build)
    except (DeployError, LatencyError) as error:
        how = f"{source.name} ({source.key}) as {kind} {precision}"
        raise DeployError(f"{how}: {error}. Nothing was written") from error
    return Deployment.read(to)


def _build(
    folder: Path,
    source: Source,
    cases: Sequence[CheckCase],
    kind: Format,
    precision: Precision,
    config: LatencyConfig,
    progress: Progress,
) -> None:
    segmenter, task = source.segmenter, source.segmenter.task
    own = next(segmenter.network.parameters()).device
    network = evaluated(segmenter.network)
    path = folder / FILES[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    progress(f"writing {kind} {precision}")
    patch, half = (task.channels, *task.patch), precision == "fp16"
    dynamic, shapes = write_network(network, kind, patch, source.strides, path, half)
    if precision == "int8":
        progress("calibrating int8")
        quantise(path, path, "static", calibration(segmenter, cases))
    forward, device = open_file(path, kind, own.type)
    deployed = Deployed(forward, device, dynamic.batch).eval()
    progress(f"checking on {len(cases)} cases")
    checks = check(segmenter, deployed, cases, precision, shapes)
    progress("measuring latency")
    times = time_both(network, deployed, task.channels, config, kind, precision)
    record = Deployment(
        **dict(segmenter.spec),
        format=kind,
        precision=precision,
        network=FILES[kind],
        name=source.name,
        key=source.key,
        weights=source.weights,
        device=own.type,
        dynamic=dynamic,
        opset=OPSET if kind == "onnx" else None,
        versions=_versions(),
        checks=checks,
        latency={name: latency.to_json() for name, latency in times.items()},
    )
    if kind == "bundle":
        write_bundle(folder, record)
        progress("running the bundle")
        found = check_bundle(folder, record, segmenter, cases)
        checks = checks.model_copy(update={"pipeline": found})
        record = record.model_copy(update={"checks": checks})
    record.write(folder)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**found, "torch": str(torch.__version__)}
