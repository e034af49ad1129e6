"""From an exported folder to a deployed one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from nas.cost.latency import LatencyConfig, LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.onnx_export import OPSET
from nas.cost.latency.quantise import quantise
from nas.cost.latency.timing import threads_set
from nas.export.deploy.bundle import check_names, check_runner, write_bundle
from nas.export.deploy.errors import DeployError
from nas.export.deploy.formats import write_network
from nas.export.deploy.latency import time_both
from nas.export.deploy.onnx_runner import write_onnx_runner
from nas.export.deploy.parity_check import CheckCase, calibration, check
from nas.export.deploy.record import Deployment, Format, Precision
from nas.export.deploy.runtime import Deployed, open_file
from nas.export.export_folder import Export
from nas.export.learnt_cases import learnt_cases
from trainers.atomic import fill_folder, new_folder
from trainers.counted import counted
from trainers.ensemble import common_steps
from trainers.errors import UserError
from trainers.inference import Ensemble
from trainers.segmenter import Segmenter, SegmenterSpec

FILES = {
    "bundle": "models/model.ts",
    "onnx": "network.onnx",
    "torch-export": "network.pt2",
    "torchscript": "network.ts",
}
OF_FILES = ("voxel_size", "lowest")  # of a task: of the files that it was trained on
PACKAGES = (
    "segnas", "torch", "monai", "nibabel", "numpy", "psutil", "scipy", "scikit-image", "PyWavelets",
    "onnx", "onnxscript", "onnxruntime",
)  # fmt: skip
RUNNERS: dict[Format, Callable[[Path, Deployment], None]] = {
    "bundle": write_bundle,
    "onnx": write_onnx_runner,
}
"""What makes a folder that goes from file to file without segnas."""

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is deployed. `strides`: windows are multiples of them; `weights`: which, in a word;
    `learnt`: the cases that it was trained on."""

    segmenter: Segmenter
    strides: tuple[int, ...]
    name: str
    key: str
    weights: str
    learnt: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *exports: Export) -> Source:
        """The network of an exported folder with its weights; of several folders their ensemble,
        with the postprocessing that all agree on.

        Raises UserError where these are used on other patches or volumes prepared in another way.
        """
        first, *others = segmenters = [export.segmenter() for export in exports]
        for export, other in zip(exports[1:], others, strict=True):
            if differing := _differing(other.spec, first.spec):
                raise UserError(
                    f"{exports[0].folder} and {export.folder} differ in {', '.join(differing)}; "
                    "expected one way to prepare an image and one patch. Deploy each by itself: "
                    "segnas predict averages deployed folders"
                )
        network = first.network
        if others:
            regions = bool(first.task.regions)
            network = Ensemble([s.network for s in segmenters], regions=regions).eval()
        strides = [_of_volumes(export.architecture.strides()) for export in exports]
        steps = common_steps([one.spec for one in segmenters])
        spec = first.spec.model_copy(update={"postprocess": steps})
        return cls(
            segmenter=replace(first, network=network, spec=spec),
            strides=tuple(map(math.lcm, *strides)) if others else strides[0],
            name=exports[0].config.name,
            key="+".join(export.architecture.key for export in exports),
            weights="+".join(dict.fromkeys(export.weights.stem for export in exports)),
            learnt=frozenset[str]().union(*(learnt_cases(one).training for one in exports)),
        )


def _of_volumes(strides: Sequence[int]) -> tuple[int, ...]:
    """Of D, H and W: a network of slices takes any number of them."""
    return tuple(strides) if len(strides) == 3 else (1, *strides)


def _differing(ours: SegmenterSpec, theirs: SegmenterSpec) -> list[str]:
    """Keys by which a network is used, of which the two have other values. What is told of the
    files that it was trained on says which images are unusual, and no more."""
    (a, b) = ({**dict(s.task), **dict(s.preprocess), "overlap": s.overlap} for s in (ours, theirs))
    return [key for key in a if a[key] != b[key] and key not in OF_FILES]


def deploy(
    source: Source,
    cases: Sequence[CheckCase],
    kind: Format,
    precision: Precision,
    to: Path,
    latency: LatencyConfig | None = None,
    progress: Progress = lambda _: None,
    calibrate_on: Sequence[CheckCase] = (),
) -> Deployment:
    """Write the folder `to`, whole and checked on `cases`, or nothing.

    calibrate_on: of which int8 takes its ranges; by default the cases of the check.

    Raises DeployError where the network does not go into this format and precision, or does not
    agree with PyTorch; UserError where `to` holds something already or cannot be made, or a package
    is missing.
    """
    if precision == "int8" and kind != "onnx":
        raise DeployError(
            f"--format {kind} --precision int8: PyTorch has no int8 convolution of three axes; "
            "use --format onnx, or --precision fp16"
        )
    new_folder(to)
    if not cases:
        raise UserError("there is no case to check with; use --check-images FOLDER")
    if kind in RUNNERS:
        check_names(source.name, source.segmenter.task)
    config = (latency or LatencyConfig()).model_copy(update={"patch": source.segmenter.task.patch})

    def build(folder: Path) -> None:
        with threads_set(config.threads):
            _build(folder, source, cases, kind, precision, config, progress, calibrate_on or cases)

    try:
        fill_folder(to, build)
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
    calibrate_on: Sequence[CheckCase],
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
        progress(f"calibrating int8 on {counted(len(calibrate_on), 'case')}")
        quantise(path, path, "static", calibration(segmenter, calibrate_on))
    forward, device = open_file(path, kind, own.type)
    deployed = Deployed(forward, device, dynamic.batch).eval()
    progress(f"checking on {counted(len(cases), 'case')}")
    checks = check(segmenter, deployed, cases, precision, shapes)
    learnt = sum(case.name in source.learnt for case in cases)
    checks = checks.model_copy(update={"learnt": learnt})
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
        calibration=tuple(case.name for case in calibrate_on) if precision == "int8" else (),
        latency={name: latency.to_json() for name, latency in times.items()},
    )
    if kind in RUNNERS:
        RUNNERS[kind](folder, record)
        progress(f"running the {kind} folder by itself")
        found = check_runner(folder, record, replace(segmenter, network=deployed), cases)
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
