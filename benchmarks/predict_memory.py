"""The memory that segmenting a large volume takes, and what holding a slab of logits costs in time.

    python benchmarks/predict_memory.py                                  # 512 x 512 x 800: minutes
    python benchmarks/predict_memory.py --spacing 1 1 1 --intensity robust
    python benchmarks/predict_memory.py --shape 256 256 200 --ways slabs whole --repeats 3

A CT of int16 with a body and organs of other densities is written as .nii.gz, and a process of its
own segments it on one core with an untrained `hybrid-xs` of many classes. Peak: the largest
resident set of that process, Python and PyTorch included. All logits: what such a network has to
say of every voxel that it reads, in float32.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console
from rich.table import Table

from trainers.volumes.geometry import by

VOXEL = (0.8, 0.8, 1.0)  # mm
WINDOW = (-200.0, 600.0)  # Hounsfield units
ORGAN = 24  # voxels: the edge of the cubes that differ in density


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    table = Table(title=f"{by(options.shape)} voxels, {options.classes} classes")
    for column in ("logits held", "all logits", "peak", "seconds"):
        table.add_column(column, justify="left" if column == "logits held" else "right")
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.nii.gz")
        _in_a_process(["--write", str(image)], options)
        for _ in range(options.repeats):
            for way in options.ways:
                found = _in_a_process(["--segment", str(image), "--ways", way], options)
                gigabytes = (f"{found[name] / 1e9:.2f} GB" for name in ("logits", "peak"))
                table.add_row(way, *gigabytes, f"{found['seconds']:.0f}")
    Console(width=100).print(table)


def _in_a_process(task: list[str], options: argparse.Namespace) -> dict[str, float]:
    """A peak is of a whole process, so each has one, and this one stays small: they inherit it."""
    command = [sys.executable, __file__, *options.given, *task]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _write(file: Path, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    organs = rng.integers(0, 400, [-(-n // ORGAN) for n in shape], np.int16)
    row, column = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    body = row**2 + (column * 1.4) ** 2 < 0.9
    values = np.full(shape, -1000, np.int16)
    for index in range(shape[2]):
        inside = organs[..., index // ORGAN].repeat(ORGAN, 0).repeat(ORGAN, 1)
        noise = rng.integers(-30, 30, shape[:2], np.int16)
        values[body, index] = (inside[: shape[0], : shape[1]] + noise)[body]
    nib.save(nib.Nifti1Image(values, np.diag([*VOXEL, 1.0])), file)


def _segment(image: Path, options: argparse.Namespace) -> dict[str, float]:
    """Bytes of all logits, bytes at the peak, and the seconds of the prediction."""
    import torch

    from search_spaces.registry import all_presets
    from trainers.data.config import Preprocess
    from trainers.data.task import Task
    from trainers.predict import predict_folder
    from trainers.segmenter import Segmenter, SegmenterSpec
    from trainers.volumes import segment

    if options.ways == ["whole"]:
        segment.WHOLE = math.inf
    elif options.ways == ["slabs"]:
        segment.WHOLE = 0
    torch.set_num_threads(1)
    torch.manual_seed(0)
    classes = tuple(f"class {index}" for index in range(options.classes))
    task = Task(channels=1, classes=classes, spacing=options.spacing, patch=options.patch)
    window = WINDOW if options.intensity == "ct" else None
    preprocess = Preprocess(
        spacing=options.spacing or "native",
        crop=options.crop,
        intensity=options.intensity,
        window=window,
    )
    network = all_presets()["hybrid-xs"].build(1, options.classes).eval()
    spec = SegmenterSpec(task=task, preprocess=preprocess, overlap=options.overlap)
    shape = np.round(np.multiply(options.shape, VOXEL) / (options.spacing or VOXEL))
    started = time.perf_counter()
    done = predict_folder(Segmenter(network=network, spec=spec), image, image.parent / "out")
    seconds = time.perf_counter() - started
    if done.failed:
        raise SystemExit(f"not segmented: {done.failed}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"logits": 4 * options.classes * math.prod(shape), "peak": peak, "seconds": seconds}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 800), help="voxels")
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--patch", type=int, nargs=3, default=(64, 64, 64), help="voxels")
    parser.add_argument("--overlap", type=float, default=0.25)
    parser.add_argument("--spacing", type=float, nargs=3, help="mm; the image's own where left out")
    parser.add_argument("--crop", choices=("none", "foreground"), default="none")
    parser.add_argument("--intensity", choices=("ct", "zscore", "robust"), default="ct")
    parser.add_argument("--ways", nargs="+", choices=("slabs", "whole"), default=["slabs"])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--segment", type=Path, help=argparse.SUPPRESS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    return parser.parse_args(given, argparse.Namespace(given=given))


if __name__ == "__main__":
    chosen = _options(None)
    if chosen.write:
        _write(chosen.write, tuple(chosen.shape))
        print("{}")
    elif chosen.segment:
        print(json.dumps(_segment(chosen.segment, chosen)))
    else:
        main()
