"""The pictures of docs/scanner-to-mask.md: one case on its way from the file to the label map.

    python benchmarks/scanner_to_mask.py runs/okbp --case kbp_004 --to docs/images

The folder is an export, such as `benchmarks/postprocessing.py` makes; the case is one of its data.
A few seconds, and `pip install 'segnas[filters]'`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np

from nas.cli.main import one_line_errors
from nas.export.export_folder import Export
from trainers.data.open_source import open_source
from trainers.segmenter import Segmenter
from trainers.volumes.geometry import voxel_sizes
from trainers.volumes.nifti import affine_of, load_labels, open_volume, read_values
from trainers.volumes.preprocess import Prepared, prepare_image
from trainers.volumes.settings import Clahe, Intensity, NonLocalMeans, Settings
from trainers.volumes.window_grid import window_places

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

CLAHE = Clahe(clip_limit=0.01, tiles=8)
MEANS = NonLocalMeans(strength=0.8, patch=3, distance=2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the three pictures."""
    options = _options(arguments)
    export = Export(options.folder)
    source = open_source(export.config.data, options.folder)
    (case,) = (one for one in source.cases if one.name == options.case)
    segmenter = export.segmenter()
    settings, spacing = segmenter.spec.settings, segmenter.task.spacing
    volume, truth = open_volume(case.image), load_labels(case.label)
    affine, classes = affine_of(volume), segmenter.task.classes
    (intensity,) = settings.intensities

    def prepared(**changes: object) -> Prepared:
        how = Intensity(**{**vars(intensity), **changes})
        return prepare_image(case.image, _with(settings, how), spacing)

    plain = prepared()
    panels = [
        ("the file's values", read_values(volume)),
        ("turned, cropped, windowed", plain.image[0]),
        ("clahe", prepared(clahe=CLAHE).image[0]),
        ("denoise", prepared(denoise=MEANS).image[0]),
    ]
    _images(panels, options.to / "scanner-to-mask-before.png", options.dpi)
    _windows(plain, segmenter, options.to / "scanner-to-mask-windows.png", options.dpi)
    maps = [
        ("raw", segmenter.raw.segment(case.image)),
        ("postprocessed", segmenter.segment(case.image)),
        ("the truth", truth.astype(np.uint8)),
    ]
    _labels(maps, read_values(volume), affine, options.to / "scanner-to-mask-after.png", options)
    for name, labels in maps:
        voxel = voxel_sizes(affine).prod() / 1000
        volumes = [(labels == value).sum() * voxel for value in range(1, len(classes))]
        print(name, dict(zip(classes[1:], np.round(volumes, 2).tolist(), strict=True)))


def _with(settings: Settings, how: Intensity) -> Settings:
    return replace(settings, intensities=[how])


def _images(panels: Sequence[tuple[str, np.ndarray]], to: Path, dpi: int) -> None:
    """The middle slice of each."""
    figure, axes = plt.subplots(1, len(panels), figsize=(2.4 * len(panels), 2.7))
    for axis, (name, values) in zip(axes, panels, strict=True):
        axis.imshow(values[:, :, values.shape[2] // 2].T, cmap="gray", origin="lower")
        axis.set_title(name, fontsize=8)
    _save(figure, axes, to, dpi)


def _windows(prepared: Prepared, segmenter: Segmenter, to: Path, dpi: int) -> None:
    """The windows in which the network sees the volume, from above."""
    task, overlap = segmenter.task, segmenter.spec.overlap
    shape = prepared.image.shape[1:]
    sizes = [max(n, p) for n, p in zip(shape, task.patch, strict=True)]
    figure, axis = plt.subplots(figsize=(2.7, 2.7))
    axis.imshow(prepared.image[0].max(2).T, cmap="gray", origin="lower")
    seen = {
        tuple((s.start, s.stop) for s in place[:2])
        for place in window_places(sizes, task.patch, overlap)
    }
    for (x, x_end), (y, y_end) in seen:
        left, low = (x - (sizes[0] - shape[0]) // 2, y - (sizes[1] - shape[1]) // 2)
        box = Rectangle((left, low), x_end - x, y_end - y, fill=False, edgecolor="C1", lw=0.7)
        axis.add_patch(box)
    axis.autoscale_view()
    axis.set_title("windows, which overlap", fontsize=8)
    _save(figure, [axis], to, dpi)


def _labels(
    maps: Sequence[tuple[str, np.ndarray]],
    image: np.ndarray,
    affine: np.ndarray,
    to: Path,
    options: argparse.Namespace,
) -> None:
    """Each from the front, all classes of a column of voxels one over the other."""
    across = int(np.abs(affine[1, :3]).argmax())
    body = np.argwhere(image > image.min())
    box = tuple(map(slice, body.min(0), body.max(0) + 1))
    image, maps = image[box], [(name, labels[box]) for name, labels in maps]
    figure, axes = plt.subplots(1, len(maps), figsize=(2.4 * len(maps), 2.9))
    for axis, (name, labels) in zip(axes, maps, strict=True):
        bright = np.percentile(image, 99.9)
        axis.imshow(image.max(across).T, cmap="gray", origin="lower", vmax=bright)
        seen = labels.max(across).T
        shown = np.ma.masked_equal(seen, 0)
        axis.imshow(shown, cmap="tab10", origin="lower", vmin=0.5, vmax=10.5, interpolation="none")
        axis.set_title(name, fontsize=8)
    _save(figure, axes, to, options.dpi)


def _save(figure: plt.Figure, axes: Sequence[plt.Axes], to: Path, dpi: int) -> None:
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.3)
    tight = {"bbox_inches": "tight", "pad_inches": 0.03}
    figure.savefig(to, dpi=dpi, pil_kwargs={"optimize": True}, **tight)
    plt.close(figure)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", required=True)
    parser.add_argument("--dpi", type=int, default=90)
    parser.add_argument("--to", type=Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
