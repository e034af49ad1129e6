"""What a MONAI Bundle tells of itself: metadata, README, licence."""

from __future__ import annotations

from typing import Any

from nas.export.deploy.record import Deployment
from nas.export.markdown_text import plain
from trainers.counted import counted
from trainers.data.task import Task

# https://project-monai.github.io/schema/ has the same file.
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)

LICENSE = """No licence was given for the weights in this bundle.

They were trained on data whose licence may limit their use. Whoever passes the bundle on should put
the terms of the weights in place of these lines, and add the data's terms as docs/data_license.txt.

The Python files in scripts/ are part of segnas, under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
"""


def metadata(record: Deployment) -> dict[str, Any]:
    """configs/metadata.json, as the schema of 2024-07-25 wants it."""
    task, versions = record.task, record.versions
    tensor = {"dtype": "float32", "spatial_shape": list(task.patch), "is_patch_data": True}
    bounds = {one.bounds for one in record.settings.intensities}
    image = {
        **tensor,
        "type": "image",
        "format": "intensity",
        "num_channels": task.channels,
        "value_range": list(bounds.pop() or ()) if len(bounds) == 1 else [],
        "channel_def": {
            str(i): task.modalities[i] if task.modalities else f"image {i}"
            for i in range(task.channels)
        },
    }
    pred = {
        **tensor,
        "type": "image",
        "format": "segmentation",
        "num_channels": task.targets.outputs,
        "value_range": [],
        "channel_def": {str(i): one.name for i, one in enumerate(task.targets.channels)},
    }
    classes = ", ".join(task.targets.names)
    checks = record.checks
    return {
        "schema": SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": "written by segnas deploy"},
        "monai_version": versions["monai"],
        "pytorch_version": versions["torch"].partition("+")[0],
        "numpy_version": versions["numpy"],
        "required_packages_version": {name: versions[name] for name in needed_packages(record)[1:]},
        "name": record.name,
        "task": f"segmentation of {classes} in 3D images",
        "description": (
            f"Network {record.key} with its {record.weights} weights, "
            f"{record.precision}, as TorchScript."
        ),
        "authors": "not stated",
        "copyright": "not stated",
        "intended_use": "Research. Not a medical device.",
        "data_type": "nibabel",
        "eval_metrics": {} if checks.dice is None or checks.learnt else {"mean_dice": checks.dice},
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }


def needed_packages(record: Deployment) -> tuple[str, ...]:
    """What the scripts import, besides PyTorch and NumPy; MONAI first."""
    filters = any(one.clahe or one.denoise for one in record.settings.intensities)
    return (
        *("monai", "nibabel", "psutil"),
        *(("scikit-image", "PyWavelets") if filters else ()),
        *(("scipy",) if record.postprocess else ()),
    )


def scripts_init(record: Deployment) -> str:
    """scripts/__init__.py: where the files beside it come from."""
    version = record.versions.get("segnas", "of an unknown version")
    return f'''"""NIfTI files in, arrays for a network, label maps out.

The modules beside this file are copies of `trainers/volumes` of segnas {version}.
Copyright of the segnas contributors; licensed under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
"""
'''


def readme(record: Deployment) -> str:
    """docs/README.md."""
    checks, task = record.checks, record.task
    dice = (
        ""
        if checks.dice is None
        else f" Mean Dice against their labels: {checks.dice:.4f}; PyTorch's: "
        f"{checks.dice_pytorch:.4f}."
    )
    if dice and checks.learnt:
        dice += f" It was trained on {checks.learnt} of them: on new cases Dice is likely lower."
    monai, *others = needed_packages(record)
    names = ", ".join(map(plain, task.targets.names))
    spacing = "not resampled"
    if task.spacing:
        spacing = f"resampled to {'x'.join(f'{mm:g}' for mm in task.spacing)} mm"
    return f"""# {plain(record.name)}

Segments {names} in 3D images (NIfTI, {counted(task.channels, "channel")}). The
network travels as TorchScript: PyTorch and these packages are all it needs, of which fire is for
commands.

    pip install {monai}=={record.versions["monai"]} {" ".join(others)} fire
    python -m monai.bundle run --config_file configs/inference.json \\
        --meta_file configs/metadata.json --bundle_root . \\
        --dataset_dir IMAGES --output_dir SEGMENTATIONS

From another folder, give the paths of both files and of this folder as --bundle_root; MONAI reads
@, % and # in paths as signs of its own. Every .nii
and .nii.gz file of IMAGES becomes a label map of its name, in its geometry. Images are turned to
{record.preprocess.orientation}, {spacing}, and read in windows of
{"x".join(map(str, task.patch))} voxels.{by_channel(task)}{_after(record)}

The Python files in scripts/ read the images and write the label maps. They are copies of segnas'
own and under the Apache License 2.0. No licence was given for the network and its weights in
models/: see docs/license.txt.

Checked against PyTorch on {counted(len(checks.cases), "case")}
({", ".join(map(plain, checks.cases))}):
logits differ by {checks.max_difference:.2g} at most, the largest is {checks.largest:.3g}.{dice}

Written for the device type {record.device}; on another one, deploy it again there. Intended for
research; not a medical device. What it was checked with is not what it will meet elsewhere: test
it on your own images first.
"""


def by_channel(task: Task) -> str:
    """How the channels of an image may lie in files of their own, as a sentence; empty of one."""
    if task.channels == 1:
        return ""
    return (
        f" Channels may be files of their own, A_0000.nii.gz to A_{task.channels - 1:04}.nii.gz, "
        "whose label map has the name of the first."
    )


def _after(record: Deployment) -> str:
    """What is done with the label maps, as a paragraph."""
    if not record.postprocess:
        return ""
    each = "".join(f"\n- {plain(name)}: {steps}" for name, steps in record.postprocess.items())
    return f"\n\nOf the label maps these are kept or changed, in millimetres of the image:\n{each}"
