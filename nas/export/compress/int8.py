"""Networks in int8, as `segnas deploy --format onnx --precision int8` writes them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from nas.cost.latency import LatencyConfig, LatencyError, conditions_of
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.measure import Prepared, measure_prepared
from nas.cost.latency.onnx_export import export_onnx, run_on_cpu
from nas.cost.latency.onnx_session import open_session
from nas.cost.latency.quantise import quantise
from nas.cost.latency.runner import Runner, example
from nas.cost.latency.timing import wall_clock
from nas.export.compress.figures import figures, latency_config, validation_dice
from nas.export.compress.patches import TrainingPatches
from nas.export.deploy.runtime import Deployed
from nas.export.export_folder import Export
from trainers.data.cache import VolumeCache
from trainers.data.splits import Cases
from trainers.errors import UserError

CALIBRATION = 16  # patches of training cases, for the ranges of activations


def check_int8(network: nn.Module, export: Export) -> None:
    """Raise UserError, before it is trained for int8, where a network has no ONNX file."""
    with TemporaryDirectory(prefix="segnas-") as folder:
        try:
            export_onnx(evaluated(network).cpu(), _shape(export), Path(folder) / "network.onnx")
        except LatencyError as error:
            raise UserError(f"{export.folder}: --method quantise-aware: {error}") from error


def int8_figures(
    export: Export,
    before: nn.Module,
    after: nn.Module,
    cache: VolumeCache,
    cases: Cases,
    threads: int,
) -> dict[str, Any]:
    """Figures in ONNX Runtime on the CPU: the original in float32 and in int8, quantised after its
    training, and the network that was trained for int8, in int8."""
    train = export.trained
    patches = TrainingPatches(cache, cases.train, train, CALIBRATION, export.config.seed)
    shape = _shape(export)
    rows = (
        ("original", before, False),
        ("original int8", before, True),
        ("compressed int8", after, True),
    )
    with TemporaryDirectory(prefix="segnas-") as folder:
        files = [
            _write(evaluated(network).cpu(), shape, Path(folder) / f"{number}", patches, narrow)
            for number, (_, network, narrow) in enumerate(rows)
        ]
        sizes = [file.stat().st_size for file in files]
        runs = [run_on_cpu(open_session(file, threads, None)) for file in files]
    config = latency_config(export, threads, in_onnx=True)
    prepared = [
        _prepared(run, export.config.task.channels, config, narrow)
        for run, (_, _, narrow) in zip(runs, rows, strict=True)
    ]
    times = measure_prepared(prepared)
    told: dict[str, Any] = {}
    for (name, network, _), run, size, latency in zip(rows, runs, sizes, times, strict=True):
        deployed = Deployed(run, torch.device("cpu"), any_batch=False).eval()
        dice = validation_dice(deployed, cache, cases.validation, export)
        each = figures(network, export.architecture, dice, latency, export)
        told[name] = {**each.to_json(), "bytes": size}
    return told


def _shape(export: Export) -> tuple[int, ...]:
    """Of one patch in a batch."""
    return (1, export.config.task.channels, *export.trained.patch)


def _write(
    network: nn.Module,
    shape: tuple[int, ...],
    folder: Path,
    patches: TrainingPatches,
    narrow: bool,
) -> Path:
    folder.mkdir()
    path = folder / "network.onnx"
    export_onnx(network, shape, path)
    if not narrow:
        return path
    images = (image.numpy() for image, _ in patches(torch.device("cpu")))
    quantise(path, folder / "int8.onnx", "static", images)
    return folder / "int8.onnx"


def _prepared(run: Any, channels: int, config: LatencyConfig, narrow: bool) -> Prepared:
    device = torch.device("cpu")
    told = config.model_copy(update={"precision": "int8"}) if narrow else config
    conditions = conditions_of(channels, told, device)
    run(example(conditions.shape))
    return Prepared(Runner(run, device, torch.float32, wall_clock), config, conditions)
