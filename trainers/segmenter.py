"""A trained network that segments image files as they are, and what it needs for that."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import nn

from trainers.data.check.outliers import far_voxels
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.errors import UserError
from trainers.inference import predict_logits
from trainers.offers import pop_network_metrics
from trainers.single_image import onednn_for_single_images
from trainers.strict import Strict
from trainers.volumes.errors import DoubtWarning
from trainers.volumes.files import Image, files_of, one_or_all
from trainers.volumes.geometry import by, voxel_sizes
from trainers.volumes.intensity import of_each_channel
from trainers.volumes.nifti import channels, channels_first, open_volume, with_affine
from trainers.volumes.preprocess import Prepared, prepare_image
from trainers.volumes.segment import check_logits, segment
from trainers.volumes.settings import AffineRule, Settings
from trainers.volumes.steps import Postprocess, Steps
from trainers.volumes.units import doubts_of_units
from trainers.volumes.windows import SlabInferer

if TYPE_CHECKING:
    from monai.data import MetaTensor

Files = str | Path | Sequence[str | Path]
FAR = 4.0  # times larger or smaller voxels than those of the training, worth a warning


class SegmenterSpec(Strict):
    """How a network is used on an image, besides its weights.

    `task`: the channels it reads, the classes it tells apart, the spacing images are brought to and
    the size of a window. `preprocess`: what it was trained under. `overlap`: the share of its
    length that a window has in common with the next. `postprocess`: what is done with the label map
    afterwards, by class.
    """

    task: Task
    preprocess: Preprocess
    overlap: Annotated[float, Field(ge=0, lt=1)]
    postprocess: dict[str, Steps] = Field(default_factory=dict, exclude_if=lambda steps: not steps)

    @property
    def settings(self) -> Settings:
        """`preprocess` of the channels that the network reads."""
        return self.preprocess.of_channels(self.task.modalities)


class ImageSegmenter(Protocol):
    """What segments images: a `Segmenter`, or several of them together (`trainers.ensemble`)."""

    @property
    def task(self) -> Task:
        """What it reads and tells apart."""

    @property
    def affine(self) -> AffineRule:
        """Which affine of a header counts."""

    @property
    def postprocess(self) -> Postprocess:
        """What is done with label maps after the network, by class."""

    @property
    def raw(self) -> ImageSegmenter:
        """The same without postprocessing."""

    def segment(self, image: Files, probabilities: np.ndarray | None = None) -> np.ndarray:
        """The labels of an image in its own shape (D, H, W), in the smallest unsigned type.

        `image`: a file, or several whose channels follow each other. `probabilities`: zeros,
        float32 (classes or regions, D, H, W), in which those of every voxel are written. Raises
        UserError where the image is no file, or has other channels than are expected, and where
        `probabilities` is of another shape or type.
        """

    def segment_array(self, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """The labels of an image (D, H, W), or (D, H, W, C) of several channels: (D, H, W).

        `affine`: (4, 4), from voxels to mm in RAS+, as nibabel has it; `np.diag([dx, dy, dz, 1])`
        for voxels of that size whose axes point right, to the front and up. Raises UserError as
        `segment` does, and for other axes.
        """

    def pop_metrics(self) -> dict[str, float]:
        """The network's own metrics since the last call, see `pop_network_metrics`."""


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """An `ImageSegmenter`. `network` (eval mode, on its device), used as `spec` says."""

    network: nn.Module
    spec: SegmenterSpec

    @property
    def task(self) -> Task:
        """What the network reads and tells apart."""
        return self.spec.task

    @property
    def affine(self) -> AffineRule:
        """Which affine of a header counts."""
        return self.spec.preprocess.affine

    @property
    def postprocess(self) -> Postprocess:
        """As `ImageSegmenter` says."""
        return self.spec.postprocess

    @property
    def raw(self) -> Segmenter:
        """As `ImageSegmenter` says."""
        return replace(self, spec=self.spec.model_copy(update={"postprocess": {}}))

    @property
    def inferer(self) -> SlabInferer:
        """The windows in which the network sees an image."""
        return SlabInferer(self.task.patch, self.spec.overlap, windows=2)

    def segment(self, image: Files, probabilities: np.ndarray | None = None) -> np.ndarray:
        """As `ImageSegmenter` says."""
        files = image_of(image)
        prepared = self.prepare(files)
        check_probabilities(probabilities, self.task, prepared)
        return self._segment(prepared, str(files_of(files)[0]), probabilities)

    def segment_array(self, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """As `ImageSegmenter` says."""
        return self._segment(self.prepare(volume_of(image, affine)), "the image")

    def pop_metrics(self) -> dict[str, float]:
        """As `ImageSegmenter` says."""
        return pop_network_metrics(self.network)

    def _segment(
        self, prepared: Prepared, name: str, probabilities: np.ndarray | None = None
    ) -> np.ndarray:
        how = self.inferer, self.task.targets, name, probabilities
        with onednn_for_single_images(self.network):
            return segment(prepared, self.network, *how, self.spec.postprocess)

    def prepare(self, image: Image | MetaTensor) -> Prepared:
        """The image as the network reads it. Raises UserError as `segment` does.

        Warns of voxels far from those of the training: in size, of a plain z-score in value, and
        of a window in unit.
        """
        if isinstance(image, Path | tuple):
            name, found = str(files_of(image)[0]), channels(open_volume(image))
        else:
            name, found = "the image", image.shape[0]
        if found != (expected := self.task.channels):  # a series of 300 volumes is not resampled
            raise UserError(f"{name} has {found} channels; the network expects {expected}")
        prepared = prepare_image(image, self.spec.settings, self.task.spacing)
        for told in self._doubts(prepared):
            warnings.warn(DoubtWarning(name, told), stacklevel=2)
        return prepared

    def _doubts(self, prepared: Prepared) -> Iterator[str]:
        # A plain z-score counts all voxels; it is linear, and changes no distance between them.
        each = of_each_channel(self.spec.settings, len(prepared.image))
        plain = [c for c, how in zip(prepared.image, each, strict=True) if how.kind == "zscore"]
        if any(map(far_voxels, plain)):
            yield (
                "has voxels so far from all others that they move its z-score: expect little of "
                "it; `segnas check` names them"
            )
        yield from doubts_of_units(prepared.lowest, self.spec.settings, self.task.lowest)
        sizes = voxel_sizes(prepared.oriented.affine)
        learnt = self.task.voxel_size or self.task.spacing
        if learnt and (max(sizes / learnt) > FAR or min(sizes / learnt) < 1 / FAR):
            yield (
                f"has voxels of {by(sizes)} mm; the network was trained on {by(learnt)} mm: expect "
                "little of it, and check the file's spacing and unit"
            )

    def logits(self, prepared: Prepared) -> torch.Tensor:
        """The network's logits of a prepared image, (C_cls, D, H, W), window by window.

        All at once, which `segment` avoids for large volumes. Raises UserError where they would
        take more memory than is free.
        """
        check_logits("the image", self.task.targets, prepared.grid.shape)
        with onednn_for_single_images(self.network):
            return predict_logits(self.network, prepared.image, self.task.patch, self.spec.overlap)


def image_of(image: Files) -> Image:
    """What `segment` takes, as an image. Raises UserError for voxels."""
    if isinstance(image, str | Path):
        return Path(image)
    if not isinstance(image, list | tuple) or not image:
        raise UserError(
            f"segment was given {type(image).__name__}; expected a file, or a list of files, one "
            "after the other by channels; voxels go to segment_array(image, affine)"
        )
    return one_or_all(map(Path, image))


def check_probabilities(probabilities: np.ndarray | None, task: Task, prepared: Prepared) -> None:
    """Raise UserError for an array that cannot hold the probabilities of this image."""
    if probabilities is None:
        return
    expected = (task.targets.outputs, *prepared.native.shape)
    if probabilities.shape != expected or probabilities.dtype.kind != "f":
        raise UserError(
            f"probabilities is {probabilities.dtype} {probabilities.shape}; expected float32 "
            f"{expected}"
        )


def volume_of(image: np.ndarray, affine: np.ndarray) -> MetaTensor:
    """An array, as `segment_array` takes it, as a volume (C, D, H, W) float32 with its affine."""
    image = np.asarray(image)
    if image.ndim not in (3, 4) or np.shape(affine) != (4, 4):
        raise UserError(
            f"an image of shape {image.shape} with an affine of {np.shape(affine)}; expected "
            "(D, H, W) or (D, H, W, C), with (4, 4)"
        )
    values = torch.from_numpy(np.ascontiguousarray(channels_first(image), np.float32))
    return with_affine(values, np.asarray(affine, np.float64))


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
