"""A patch under each preset of augmentation: a row of the picture for each, some draws in it.

    python benchmarks/augmentation_picture.py --to docs/images/augmentation.png      # of a phantom
    python benchmarks/augmentation_picture.py --folder runs/a --case x --to x.png

The outlines are those of the label, which moves with the image. A few seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from prepared_search import read_plan

from nas.cli.main import one_line_errors
from trainers.augment.config import Augment
from trainers.augment.presets import PRESETS
from trainers.data.cache import VolumeCache
from trainers.data.config import Preprocess, Split
from trainers.data.patches import PatchSampler
from trainers.data.phantom_source import PhantomData
from trainers.data.prepare import prepare_data

matplotlib.use("agg")
from matplotlib import pyplot as plt

PHANTOM = PhantomData(
    cases=2,
    shape=(72, 72, 40),
    organs=3,
    preprocess=Preprocess(spacing="native", crop="none", intensity="ct", window=(-175, 250)),
    split=Split(validation=0.5),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as folder:
        data = read_plan(options.folder).data if options.folder else PHANTOM
        cache, cases = prepare_data(data, options.folder or Path(folder))
        figure = draw(cache, options.case or cases.train[0], options.patch, options.draws)
        figure.savefig(options.to, dpi=options.dpi, pil_kwargs={"optimize": True})


def draw(
    cache: VolumeCache, case: str, patch: tuple[int, int, int], draws: int
) -> matplotlib.figure.Figure:
    """The middle slice of patches of one case, in the same place before they are changed."""
    figure, axes = plt.subplots(
        len(PRESETS), draws, figsize=(1.5 * draws, 1.6 * len(PRESETS)), squeeze=False
    )
    for row, (name, preset) in zip(axes, PRESETS.items(), strict=True):
        sampler = PatchSampler(
            cache,
            [case],
            patch,
            draws,
            foreground=0.0,
            preset=preset,
            seed=1,
            **Augment(preset=name, shift=0).model_dump(exclude={"preset"}),
        )
        images, labels = (batch.numpy()[:, 0] for batch in sampler.batch())
        for axis, image, label in zip(row, images, labels, strict=True):
            _show(axis, image[..., patch[2] // 2].T, label[..., patch[2] // 2].T)
        row[0].set_ylabel(name)
    figure.tight_layout(pad=0.3)
    return figure


def _show(axis: matplotlib.axes.Axes, image: np.ndarray, label: np.ndarray) -> None:
    axis.imshow(image, cmap="gray", vmin=-0.2, vmax=1.2, origin="lower", interpolation="nearest")
    for found in np.unique(label[label > 0]):
        axis.contour(label == found, [0.5], colors=f"C{found}", linewidths=0.8)
    axis.set_xticks([])
    axis.set_yticks([])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="of a search, in place of a phantom")
    parser.add_argument("--case", help="its name there (default: the first for training)")
    parser.add_argument("--patch", type=int, nargs=3, default=(72, 72, 40))
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--dpi", type=int, default=100)
    parser.add_argument("--to", type=Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
