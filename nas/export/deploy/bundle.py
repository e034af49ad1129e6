"""A MONAI Bundle around a TorchScript network, which reads and writes volumes as segnas does.

https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import torch

from nas.cost.latency.onnx_export import quiet
from nas.export.deploy.bundle_text import LICENSE, metadata, readme, scripts_init
from nas.export.deploy.errors import DeployError
from nas.export.deploy.parity_check import DICE_TOLERANCE, CheckCase, agreement
from nas.export.deploy.record import Deployment
from trainers import volumes
from trainers.data.task import Task
from trainers.segmenter import Segmenter
from trainers.volumes.files import Image, files_of, output_name
from trainers.volumes.nifti import open_volume

CONFIG, METADATA = "configs/inference.json", "configs/metadata.json"
TORCHSCRIPT = "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)"


def write_bundle(folder: Path, record: Deployment) -> None:
    """Fill `folder`, whose models/model.ts is there, with configuration, scripts and words.

    The specification wants models/model.pt as well, the weights alone.
    """
    network = torch.jit.load(folder / "models" / "model.ts", map_location="cpu")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    write_pipeline(folder, record, TORCHSCRIPT)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / METADATA).write_text(json.dumps(metadata(record), indent=1))
    (folder / "docs" / "README.md").write_text(readme(record))
    (folder / "docs" / "license.txt").write_text(LICENSE)


def write_pipeline(folder: Path, record: Deployment, network: Any) -> None:
    """The configuration, and the scripts that it names: the files of `trainers.volumes`.

    network: what the configuration opens the network by.
    """
    for name in ("configs", "scripts"):
        (folder / name).mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(inference_config(record, network), indent=1))
    for module in Path(volumes.__path__[0]).glob("*.py"):
        (folder / "scripts" / module.name).write_bytes(module.read_bytes())
    (folder / "scripts" / "__init__.py").write_text(scripts_init(record))


def inference_config(record: Deployment, network: Any) -> dict[str, Any]:
    """configs/inference.json: files of `dataset_dir` -> segmentations in `output_dir`."""
    settings = record.settings
    return {
        "imports": ["$import pathlib", "$import sys", "$import torch"],
        "bundle_root": ".",
        "device": f"$torch.device('{record.device}')",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/segmentations'",
        "datalist": {
            "_target_": "scripts.transforms.find_images",
            "folder": "@dataset_dir",
            "channels": record.task.channels,
        },
        "network_def": network,
        "network": "$@network_def.eval()",
        "preprocessing": {
            "_target_": "scripts.transforms.PrepareImaged",
            "orientation": settings.orientation,
            "affine": settings.affine,
            "resampling": settings.resampling,
            "crop": settings.crop,
            "intensities": [_made("settings", one) for one in settings.intensities],
            "spacing": record.task.spacing,
            "channels": record.task.channels,
            "lowest": record.task.lowest,
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "scripts.windows.SlabInferer",
            "patch": list(record.task.patch),
            "overlap": record.overlap,
            "windows": 2 if record.dynamic.batch else 1,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "scripts.transforms.SegmentImaged",
                    "network": "@network",
                    "inferer": "@inferer",
                    "targets": _made("targets", record.task.targets),
                    "steps": {
                        name: _made("steps", steps) for name, steps in record.postprocess.items()
                    },
                },
                {"_target_": "scripts.transforms.SaveLabelsd", "output_dir": "@output_dir"},
            ],
        },
        # Another bundle of this process has scripts too, and so may have the working directory.
        "initialize": [
            "$[sys.modules.pop(n) for n in list(sys.modules) if n.partition('.')[0] == 'scripts']",
            "$sys.path.insert(0, str(pathlib.Path(@bundle_root).resolve()))",
            "$torch.set_grad_enabled(False)",
        ],
        "run": ["$[@postprocessing(case)['pred'].shape for case in @dataset]"],
    }


def _made(module: str, value: Any) -> Any:
    """How MONAI makes a dataclass of that script again, and what it holds, however deep."""
    if isinstance(value, list | tuple):
        return [_made(module, one) for one in value]
    if not is_dataclass(value):
        return value
    name = f"scripts.{module}.{type(value).__name__}"
    parts = {field.name: _made(module, getattr(value, field.name)) for field in fields(value)}
    return {"_target_": name, **parts}


def check_names(name: str, task: Task) -> None:
    """Raise DeployError for the name of a class, a region, a modality or the network that MONAI's
    configurations would take for something else: it evaluates texts that begin with $ and % and
    keys between underscores, and looks for what is named after @ and # and ::."""
    for one in (name, *task.modalities, *task.classes, *(region.name for region in task.regions)):
        inner = one.startswith("_") and one.endswith("_")
        if inner or one.startswith(("$", "%", "+", "~")) or re.search("[@#]|::", one):
            raise DeployError(
                f"{one!r} cannot be a name here, since MONAI's configurations read $, %, @, #, ::, "
                "+ and ~ as their own; rename it in the data, or use --format torch-export"
            )


def run_bundle(folder: Path, images: Sequence[Image], to: Path) -> None:
    """Segment files as `python -m monai.bundle run` does, into files of their names in `to`."""
    from monai.bundle import run

    with quiet(), _undone():
        run(
            config_file=str(folder / CONFIG),
            bundle_root=literal(folder),
            datalist=[{"image": list(map(literal, files_of(image)))} for image in images],
            output_dir=literal(to),
        )


def literal(path: Path) -> str:
    """A path as MONAI's configurations take any: as a text it has references after @, % and #."""
    text = repr(str(path))
    for sign in "@%#":
        text = text.replace(sign, f"\\x{ord(sign):02x}")
    return f"${text}"


@contextmanager
def _undone() -> Iterator[None]:
    """A bundle switches gradients off for good, and leaves its scripts to be imported."""
    path, others, no_bytecode = list(sys.path), _scripts(), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # no __pycache__ in what is handed on
    try:
        with torch.no_grad():
            yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, no_bytecode
        for name in _scripts():
            del sys.modules[name]
        sys.modules.update(others)


def _scripts() -> dict[str, ModuleType]:
    return {n: module for n, module in sys.modules.items() if n.partition(".")[0] == "scripts"}


def check_runner(
    folder: Path, record: Deployment, segmenter: Segmenter, cases: Sequence[CheckCase]
) -> float:
    """Run the folder on the cases' files: the worst Dice of its files against segnas' own labels.

    segmenter: what makes these, with the network of the same folder. (What its precision changes is
    `parity_check`'s to judge.)

    Raises DeployError where it is below 1 by more than `DICE_TOLERANCE`, or a file has another
    shape.
    """
    worst = 1.0
    for case in cases:
        with TemporaryDirectory(prefix="segnas-") as out:
            run_bundle(folder, [case.image], Path(out))  # two cases' files may have one name
            made = open_volume(Path(out) / output_name(files_of(case.image)[0]))
            found, expected = np.asarray(made.dataobj), segmenter.segment(case.image)
        if found.shape != expected.shape:
            raise DeployError(f"the folder makes {found.shape} of {case.name} {expected.shape}")
        worst = min(worst, agreement(found, expected, len(record.task.classes)))
    if worst < 1.0 - DICE_TOLERANCE[record.precision]:
        raise DeployError(
            f"from file to file the folder has Dice {worst:.4f} against segnas' labels"
        )
    return worst
