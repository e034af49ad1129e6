"""A MONAI Bundle around a TorchScript network: its own preprocessing, windows and way back.

https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from nas.cost.latency.onnx_export import quiet
from nas.export.deploy.bundle_text import LICENSE, metadata, readme
from nas.export.deploy.errors import DeployError
from nas.export.deploy.parity_check import DICE_TOLERANCE, CheckCase, agreement
from nas.export.deploy.record import Deployment
from trainers.segmenter import Segmenter
from trainers.volumes.nifti import open_nifti

CONFIG, METADATA = "configs/inference.json", "configs/metadata.json"


def write_bundle(folder: Path, record: Deployment) -> None:
    """Fill `folder`, whose models/model.ts is there, with configuration, metadata and words.

    The specification wants models/model.pt as well, the weights alone.
    """
    network = torch.jit.load(folder / "models" / "model.ts", map_location="cpu")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    for name in ("configs", "docs"):
        (folder / name).mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(inference_config(record), indent=1))
    (folder / METADATA).write_text(json.dumps(metadata(record), indent=1))
    (folder / "docs" / "README.md").write_text(readme(record))
    (folder / "docs" / "license.txt").write_text(LICENSE)


def inference_config(record: Deployment) -> dict[str, Any]:
    """configs/inference.json: files of `dataset_dir` -> segmentations in `output_dir`.

    MONAI's transforms alone, those that `trainers.volumes.preprocess` applies, and their inverses.
    """
    return {
        "imports": ["$import glob", "$import torch", "$from monai.data import MetaTensor"],
        "bundle_root": ".",
        "device": f"$torch.device('{record.device}')",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/segmentations'",
        "datalist": "$[{'image': f} for f in sorted(glob.glob(@dataset_dir + '/*.nii*'))]",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device)",
        "network": "$@network_def.eval()",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(record)},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(record.task.patch),
            "sw_batch_size": 2 if record.dynamic.batch else 1,
            "overlap": record.overlap,
            "mode": "gaussian",
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing()},
        "predict": (
            "$lambda case: @postprocessing({**case, 'pred': MetaTensor("
            "@inferer(case['image'].as_tensor()[None].to(@device), @network)[0].cpu(), "
            "meta=case['image'].meta)})"
        ),
        "initialize": ["$torch.set_grad_enabled(False)"],
        "run": ["$[@predict(case)['pred'].shape for case in @dataset]"],
    }


def _preprocessing(record: Deployment) -> list[dict[str, Any]]:
    preprocess, image = record.preprocess, {"keys": "image"}
    steps: list[dict[str, Any]] = [
        {
            "_target_": "LoadImaged",
            **image,
            "reader": "NibabelReader",
            "image_only": True,
            "ensure_channel_first": True,
            "dtype": "$torch.float32",
        },
        {
            "_target_": "Orientationd",
            **image,
            "axcodes": preprocess.orientation,
            "labels": [["L", "R"], ["P", "A"], ["I", "S"]],
        },
    ]
    if preprocess.crop == "foreground":
        empty = repr(preprocess.window[0]) if preprocess.window else "x.min()"
        inside = f"$lambda x: (x > {empty}) | ~(x > {empty}).any()"  # a constant volume stays whole
        steps.append(
            {"_target_": "CropForegroundd", **image, "source_key": "image", "select_fn": inside}
        )
    if record.task.spacing:
        steps.append(
            {
                "_target_": "Spacingd",
                **image,
                "pixdim": list(record.task.spacing),
                "mode": "bilinear",
                "dtype": "$torch.float32",
            }
        )
    if preprocess.window:
        low, high = preprocess.window
        scale = {"a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": True}
        steps.append({"_target_": "ScaleIntensityRanged", **image, **scale})
    else:
        steps.append({"_target_": "NormalizeIntensityd", **image, "channel_wise": True})
    return steps


def _postprocessing() -> list[dict[str, Any]]:
    """Logits back to the file's grid, then the class: as segnas decides it."""
    return [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "orig_keys": "image",
            "transform": "@preprocessing",
            "nearest_interp": False,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "",
            "output_dtype": "$torch.uint8",
            "resample": False,
            "separate_folder": False,
            "print_log": False,
        },
    ]


def check_bundle(
    folder: Path, record: Deployment, segmenter: Segmenter, cases: Sequence[CheckCase]
) -> float:
    """Run the bundle on the cases' files: the worst Dice of its files against segnas' own labels.

    Raises DeployError where it is below 1 by more than `DICE_TOLERANCE`, or a file has another
    shape.
    """
    from monai.bundle import ConfigParser

    worst = 1.0
    # The bundle switches gradients off for good; leaving `no_grad` switches them on again.
    with TemporaryDirectory(prefix="segnas-") as out, quiet(), torch.no_grad():
        parser = ConfigParser(inference_config(record))
        parser["bundle_root"], parser["output_dir"] = str(folder), out
        parser["datalist"] = [{"image": str(case.image)} for case in cases]
        for section in ("initialize", "run"):
            parser.get_parsed_content(section)
        for case in cases:
            made = open_nifti(Path(out) / f"{case.name}.nii.gz")
            found, expected = np.asarray(made.dataobj), segmenter.segment(case.image)
            if found.shape != expected.shape:
                raise DeployError(f"the bundle makes {found.shape} of {case.name} {expected.shape}")
            same = agreement(found.astype(np.uint8), expected, len(record.task.classes))
            worst = min(worst, same)
    if worst < 1.0 - DICE_TOLERANCE[record.precision]:
        raise DeployError(
            f"from file to file the bundle has Dice {worst:.4f} against segnas' labels"
        )
    return worst
