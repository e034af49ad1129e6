"""A network as an ONNX file, checked against PyTorch."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.cost.latency.errors import LatencyError
from nas.cost.latency.evaluated import evaluated
from nas.cost.latency.machine import check_onnx
from nas.cost.latency.onnx_session import open_session
from trainers.errors import first_line

OPSET = 20  # the first with Gelu and with grids of three axes
INPUT, OUTPUT = "image", "logits"
# Largest difference from PyTorch in float32, relative to the largest logit.
TOLERANCES = {torch.float32: 1e-3, torch.float16: 5e-2}


def export_onnx(network: nn.Module, shape: tuple[int, ...], path: Path) -> float:
    """Write `network` in eval mode to `path`, for an input of `shape` (B, C, D, H, W) and no other.

    Input `image`, output `logits`, both of the weights' type, float32 or float16. Returns the
    largest difference between the logits that ONNX Runtime and PyTorch in float32 give for an input
    that the export has not seen, relative to the largest logit.

    Raises LatencyError where the network has an operation that ONNX has not, or where the
    difference is beyond `TOLERANCES`; UserError where a package is missing.
    """
    check_onnx()
    weights = next(network.parameters())
    seen, unseen = torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))
    ready = evaluated(network).cpu()
    write_onnx(ready, seen.to(weights.dtype), path)
    with torch.inference_mode():
        expected = ready.float()(unseen).numpy()
    found = open_session(path).run(None, {INPUT: unseen.to(weights.dtype).numpy()})[0]
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= TOLERANCES[weights.dtype]:
        raise LatencyError(
            f"no ONNX export: the logits of ONNX Runtime differ from PyTorch's by {difference:.2g} "
            f"of the largest; expected {TOLERANCES[weights.dtype]:g} at most"
        )
    return difference


def write_onnx(
    network: nn.Module | torch.export.ExportedProgram, x: torch.Tensor, path: Path
) -> None:
    """Write `network` for inputs of the shape of `x`, or for those that a program allows.

    Raises LatencyError where it has an operation that ONNX has not.
    """
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                network,
                (x,),
                path,
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise LatencyError(f"no ONNX export: {first_line(_root(error))}") from error


def run_on_cpu(session: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A session's run; neither input nor output is copied."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: x.numpy()})[0])

    return forward


@contextmanager
def quiet() -> Iterator[None]:
    """Keep away what exporters and quantisers print, log and warn of."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stderr(io.StringIO()),
            redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _root(error: BaseException) -> BaseException:
    """Where it began: exporters wrap errors in advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
