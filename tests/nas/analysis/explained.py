"""Networks whose decisions are known beforehand, and volumes that decide them."""

import nibabel as nib
import numpy as np
import torch
from torch import nn

from nas.analysis.explain.cases import ExplainedCase
from search_spaces.blocks.token_assembly import TokenAssembly
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.networks.planes import fold_slices
from trainers.data.config import Preprocess
from trainers.data.task import Task
from trainers.segmenter import Segmenter, SegmenterSpec


class First(nn.Module):
    """Scores tokens by their first channel."""

    def forward(self, z):
        return z[..., 0]


class Pruning(nn.Module):
    """Tokens are the means of blocks of 4 voxels; the darker half goes, then the darker half of
    what is left. Whatever stands in the tokens at the end are the logits."""

    def __init__(self, axes=3):
        super().__init__()
        conv = nn.Conv2d if axes == 2 else nn.Conv3d
        self.axes, self.embed = axes, conv(1, 2, 4, 4)
        nn.init.constant_(self.embed.weight, 1 / 4**axes)
        nn.init.zeros_(self.embed.bias)
        self.prune = nn.ModuleList(SoftTopK(2, 0.5, scores=First()) for _ in range(2))
        self.assemble = TokenAssembly(2, 2)

    def forward(self, x):
        planes = fold_slices(x, self.axes)
        grid = self.embed(planes)
        z = grid.flatten(2).mT
        index = torch.arange(z.shape[1]).expand(len(z), -1)
        dropped = []
        for prune in self.prune:
            pruned = prune(z)
            dropped.append((pruned.dropped, index.gather(1, pruned.dropped_index)))
            z, index = pruned.kept, index.gather(1, pruned.kept_index)
        self.assemble(z, index, dropped, torch.zeros_like(grid.flatten(2).mT[:1]))
        return torch.cat([x, x], dim=1)


class Brightest(nn.Module):
    """Its one point is the brightest voxel of the image (B, 1, *S)."""

    def forward(self, x):
        place = x.flatten(1).argmax(1)
        shape = x.shape[2:]
        found = torch.stack(torch.unravel_index(place, shape), dim=-1)
        return (found / torch.tensor(shape))[:, None]

    def shows(self, inputs, output):
        return {"brightest": output}

    def replacements(self):
        return {
            "brightest": {
                "itself": lambda inputs, output, mean: output,
                "mean": lambda inputs, output, mean: mean.expand_as(output),
            }
        }


class Pointing(nn.Module):
    """Segments a cube of 5 voxels around the point, and nothing where that is wrong."""

    def __init__(self, axes=3):
        super().__init__()
        self.axes, self.point, self.weight = axes, Brightest(), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        planes = fold_slices(x, self.axes)
        near = torch.ones_like(planes)
        for axis, place in enumerate(self.point(planes)[:, 0].T):
            length = planes.shape[2 + axis]
            offset = torch.arange(length) - (place * length).round()[:, None]
            shape = [len(planes), 1] + [1] * self.axes
            shape[2 + axis] = length
            near = near * (offset.abs() <= 2).view(shape)
        if self.axes == 2 and x.dim() == 5:
            near = near.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
        return torch.cat([0.5 * torch.ones_like(near), near], dim=1)


def segmenter_of(network, patch, overlap=0.0, spacing=None, orientation="RAS"):
    """The network on images as they are, in windows of that patch."""
    task = Task(channels=1, classes=("background", "spot"), spacing=spacing, patch=patch)
    preprocess = Preprocess.model_validate(
        {"spacing": "native", "crop": "none", "intensity": "zscore", "orientation": orientation}
    )
    spec = SegmenterSpec(task=task, preprocess=preprocess, overlap=overlap)
    return Segmenter(network=network.eval(), spec=spec)


def write_case(folder, name, image, affine=None, label=None):
    """Writes a case of those arrays (D, H, W)."""
    affine = np.eye(4) if affine is None else affine
    paths = []
    for kind, values in (("images", image), ("labels", label)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        paths.append(folder / kind / f"{name}.nii.gz" if values is not None else None)
        if values is not None:
            nib.save(nib.Nifti1Image(values.astype(np.float32), affine), paths[-1])
    return ExplainedCase(name, *paths)


def spotted(rng, shape, spot):
    """Noise with a bright voxel at `spot`, and the label of the 5 voxels around it."""
    image = rng.uniform(0, 1, shape)
    image[tuple(spot)] = 9.0
    near = np.ones(shape, bool)
    for axis, (length, place) in enumerate(zip(shape, spot, strict=True)):
        sides = [1] * len(shape)
        sides[axis] = length
        near &= (np.abs(np.arange(length) - place) <= 2).reshape(sides)
    return image, near.astype(np.uint8)
