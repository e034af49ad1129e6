"""An ONNX file in int8, by ONNX Runtime's post-training quantisation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from nas.cost.latency.errors import LatencyError
from nas.cost.latency.onnx_export import INPUT, quiet

LINEAR = ["MatMul", "Gemm"]


def quantise(
    source: Path,
    target: Path,
    method: Literal["static", "dynamic"],
    patches: Iterable[np.ndarray] = (),
) -> None:
    """Write `source`, a float32 file of `export_onnx`, with int8 weights to `target`.

    static: convolutions and matrix products, their input ranges taken from `patches`, each
    (B, C, D, H, W) float32. dynamic: linear layers alone, their input ranges taken anew in every
    pass. All else stays float32: transposed convolutions, for which ONNX Runtime's CPU has no int8
    kernel, norms, activations, softmax, interpolation.

    Raises LatencyError where nothing of the network can be quantised.
    """
    with quiet():
        if method == "static":
            _static(source, target, patches)
        else:
            _dynamic(source, target)
    if not int8_weights(target):
        raise LatencyError(
            f"int8 {method}: the network has nothing to quantise"
            + (", no linear layer; use quantisation static" if method == "dynamic" else "")
        )


def int8_weights(path: Path) -> int:
    """How many nodes of an ONNX file read weights that are stored in int8."""
    import onnx

    graph = onnx.load(path).graph
    stored = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT8}
    return sum(any(name in stored for name in node.input) for node in graph.node)


def _static(source: Path, target: Path, patches: Iterable[np.ndarray]) -> None:
    """Activations are unsigned: with signed ones ONNX Runtime runs most x86 convolutions in
    float32, between a dequantisation and a quantisation.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Patches(CalibrationDataReader):
        remaining = iter(patches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            patch = next(self.remaining, None)
            return None if patch is None else {INPUT: patch}

    quantize_static(
        source,
        target,
        Patches(),
        op_types_to_quantize=["Conv", *LINEAR],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _dynamic(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    del model.graph.value_info[:]  # PyTorch's optimiser leaves stale shapes that refuse inference
    quantize_dynamic(model, target, op_types_to_quantize=LINEAR, weight_type=QuantType.QInt8)
