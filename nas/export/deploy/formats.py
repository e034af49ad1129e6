"""A network written as a file of one format, and tried on windows that its writer never saw."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from nas.cost.latency.machine import check_onnx
from nas.cost.latency.onnx_export import TOLERANCES, quiet, write_onnx
from nas.export.deploy.errors import DeployError, reason
from nas.export.deploy.record import Dynamic, Format
from nas.export.deploy.runtime import open_file
from search_spaces.offers import fixes_patch
from trainers.errors import UserError

MOST = 1024  # windows in a batch, or strides along an axis
SHAPES = ((1, 0, 0, 0), (3, 0, 0, 0), (1, 1, 0, 2), (2, 2, 1, 0))  # batch, strides more than patch


class Float32Outside(nn.Module):
    """Runs a network in another type (float16) on float32 input, and gives float32 output."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network.to(dtype), dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x.to(self.dtype))
        return logits.float()


def write_network(
    network: nn.Module,
    kind: Format,
    patch: tuple[int, ...],
    strides: Sequence[int],
    path: Path,
    half: bool = False,
) -> tuple[Dynamic, tuple[tuple[int, ...], ...]]:
    """Write `network` (eval mode, float32) to `path` for windows (C, D, H, W) = `patch`.

    `half`: weights and computation in float16; input and output stay float32. The file takes as
    many shapes as the network permits. Tried in this order: any batch and any multiple of `strides`
    along D, H and W; any batch of the patch; a single window of the patch. A file counts as working
    if it gives `network`'s logits for random windows of other shapes than it was written with.
    Returns what the file takes, and the shapes that it was tried on.

    Raises DeployError, naming the operator, where none of the three works.
    """
    if kind == "onnx":
        check_onnx()
    written = Float32Outside(copy.deepcopy(network), torch.float16) if half else network
    tolerance = TOLERANCES[torch.float16 if half else torch.float32]
    reasons: list[str] = []
    for dynamic in _ladder(network, strides):
        try:
            with quiet(), torch.no_grad():
                _write(copy.deepcopy(written), kind, patch, dynamic, path)  # tracing leaves marks
                return dynamic, _try(network, kind, patch, dynamic, path, tolerance)
        except DeployError as error:
            reasons.append(str(error))
        except (UserError, OSError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever an exporter or a runtime makes of the network
            reasons.append(reason(error))
    advice = "; fp16 needs a GPU for that, or --format onnx" if "'Half'" in reasons[-1] else ""
    raise DeployError(reasons[-1] + advice)


def _ladder(network: nn.Module, strides: Sequence[int]) -> Iterator[Dynamic]:
    fixed = fixes_patch(network)
    d, h, w = strides
    stride = d if d == h == w else (d, h, w)
    for batch, sizes in ((True, True), (True, False), (False, False)):
        if not (sizes and fixed):
            yield Dynamic(batch=batch, sizes=sizes, stride=stride)


def _write(
    network: nn.Module, kind: Format, patch: tuple[int, ...], dynamic: Dynamic, path: Path
) -> None:
    device = next(network.parameters()).device
    x = torch.randn(2 if dynamic.batch else 1, *patch, device=device)
    if kind == "onnx":
        write_onnx(_program(network, x, dynamic), x, path)
        return
    content = io.BytesIO()  # writing a file itself, torch ends the program where the disk is full
    if kind == "torch-export":
        torch.export.save(_program(network, x, dynamic), content)
    else:
        torch.jit.save(torch.jit.trace(network, x, check_trace=False), content)
    path.write_bytes(content.getvalue())


def _program(network: nn.Module, x: torch.Tensor, dynamic: Dynamic) -> ExportedProgram:
    dims: dict[int, object] = {}
    if dynamic.batch:
        dims[0] = Dim("batch", min=1, max=MOST)
    if dynamic.sizes:
        names = ("depth", "height", "width")
        for axis, (name, stride) in enumerate(zip(names, dynamic.strides, strict=True), start=2):
            dims[axis] = stride * Dim(name, min=1, max=MOST) if stride > 1 else Dim(name)
    return torch.export.export(network, (x,), dynamic_shapes=(dims or None,), strict=False)


def _try(
    network: nn.Module,
    kind: Format,
    patch: tuple[int, ...],
    dynamic: Dynamic,
    path: Path,
    tolerance: float,
) -> tuple[tuple[int, ...], ...]:
    own = next(network.parameters()).device
    forward, device = open_file(path, kind, own.type)
    tried: list[tuple[int, ...]] = []
    for batch, *more in SHAPES:
        if any(more) and not dynamic.sizes:
            continue
        grown = zip(patch[1:], more, dynamic.strides, strict=True)
        sizes = (length + extra * stride for length, extra, stride in grown)
        shape = (batch if dynamic.batch else 1, patch[0], *sizes)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(len(tried)))
        expected = network(x.to(own)).cpu()
        found = forward(x.to(device)).cpu()
        gap = float((found - expected).abs().max() / expected.abs().max())
        if not gap <= tolerance:
            raise DeployError(
                f"on a batch of shape {shape} the logits differ from PyTorch's by {gap:.2g} of the "
                f"largest; expected {tolerance:g} at most"
            )
        tried.append(shape)
    return tuple(dict.fromkeys(tried))
