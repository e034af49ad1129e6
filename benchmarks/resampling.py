"""What do images and labels lose on another grid and back, by the order of interpolation?

    python benchmarks/resampling.py FOLDER --spacing 2 2 10

Images: root mean square error over the standard deviation, between the 0.5th and 99.5th percentile
of the body. Labels: mean foreground Dice. Means over the cases.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.cli.main import one_line_errors
from trainers.data.msd import read_msd
from trainers.metrics import dice_per_class, mean_dice
from trainers.volumes.geometry import Grid, voxel_sizes
from trainers.volumes.intensity import HIGH, LOW, body
from trainers.volumes.nifti import load_labels, load_volume
from trainers.volumes.resample import Resampling, resample_labels

IMAGES = {"linear": (1, 1), "cubic": (3, 3), "cubic, nearest across": (3, 0)}
LABELS = {"nearest": (0, 0), "shares": (1, 0)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = _options(arguments)
    source = read_msd(options.folder)
    found: dict[str, list[float]] = defaultdict(list)
    for case in source.cases[:: max(1, len(source.cases) // options.cases)]:
        volume, label = load_volume(case.image), load_labels(case.label).astype(np.uint8)
        old = Grid(label.shape, np.diag([*voxel_sizes(np.asarray(volume.affine)), 1.0]))
        new = old.respaced(tuple(options.spacing))
        image = volume[0].numpy()
        image = np.clip(image, *np.percentile(body(image), (LOW, HIGH)))
        for name, order in IMAGES.items():
            there = Resampling.by_axis(old, new, *order)(image)
            back = Resampling.by_axis(new, old, *order)(there)
            found[name].append(float(np.sqrt(np.mean((back - image) ** 2)) / image.std()))
        for name, order in LABELS.items():
            there = resample_labels(label, Resampling.by_axis(old, new, *order))
            back = resample_labels(there, Resampling.by_axis(new, old, 1, 0))
            dice = dice_per_class(back, label, len(source.classes))
            found[name].append(mean_dice(dice[None]))
    table = Table(title=f"{options.folder.name} to {options.spacing} mm")
    for name in found:
        table.add_column(name, justify="right")
    table.add_row(*[f"{np.nanmean(values):.4f}" for values in found.values()])
    Console(width=100).print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled volumes in the Decathlon's layout")
    parser.add_argument("--spacing", type=float, nargs=3, required=True, help="mm")
    parser.add_argument("--cases", type=int, default=60, help="about so many, evenly chosen")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
