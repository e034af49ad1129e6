"""What lets an ONNX folder go from file to file: the pipeline of a bundle around ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from nas.export.deploy.bundle import write_pipeline
from nas.export.deploy.bundle_text import by_channel, needed_packages
from nas.export.deploy.record import Deployment

PROGRAM = "segment.py"


def write_onnx_runner(folder: Path, record: Deployment) -> None:
    """`segment.py`, and the configuration and scripts that it needs, beside the network's file."""
    network = {
        "_target_": "scripts.onnx_network.OnnxNetwork",
        "file": f"$@bundle_root + '/{record.network}'",
    }
    write_pipeline(folder, record, network)
    (folder / PROGRAM).write_text(_program(record))


def _program(record: Deployment) -> str:
    channels = by_channel(record.task)
    packages = " ".join(("onnxruntime", *needed_packages(record)))
    return f'''"""Segments {_within_quotes(", ".join(record.task.targets.names))}.

    pip install {packages}
    python segment.py IMAGES SEGMENTATIONS

Every NIfTI file of the folder IMAGES becomes a label map of its name in SEGMENTATIONS.{channels}
The network runs in ONNX Runtime; MONAI and PyTorch prepare the images and put the windows together.
Research only; not a medical device.
"""

import argparse
import warnings
from pathlib import Path

from monai.bundle import run

from scripts.errors import UserError
from scripts.transforms import find_images

parser = argparse.ArgumentParser(description="Segment a folder of NIfTI images.")
parser.add_argument("images", help="a folder of .nii and .nii.gz files")
parser.add_argument("segmentations", help="a folder for label maps of the same names")
options = parser.parse_args()
try:
    find_images(options.images, {record.task.channels})
except UserError as error:
    parser.error(str(error))
here = Path(__file__).resolve().parent
warnings.formatwarning = lambda told, *_: f"warning: {{told}}\\n"


def literal(path):
    """As MONAI's configurations take any path: as a text it has references after @, % and #."""
    text = repr(str(path))
    for sign in "@%#":
        text = text.replace(sign, "\\\\x" + format(ord(sign), "02x"))
    return "$" + text


run(
    config_file=str(here / "configs" / "inference.json"),
    meta_file=[],  # there is none, which MONAI would log as an error
    bundle_root=literal(here),
    dataset_dir=literal(options.images),
    output_dir=literal(options.segmentations),
)
'''


def _within_quotes(text: str) -> str:
    """As a string literal of Python has it: a class may be called anything."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
