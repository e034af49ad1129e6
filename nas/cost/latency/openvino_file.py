"""An ONNX file in OpenVINO, on a CPU. Loads no PyTorch: a device agent has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# In what it computes. Left to itself it takes bfloat16 where the CPU has it; beside int8, float32.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
CAPABILITIES = {"bf16": "BF16", "fp16": "FP16"}


def compile_file(path: Path, precision: str, threads: int) -> Any:
    """A compiled model. Raises RuntimeError of one line where OpenVINO cannot run the file."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "ENABLE_CPU_PINNING": False,
    }
    with _errors_of_one_line():
        return openvino.Core().compile_model(path, "CPU", settings)


def precision_of(path: Path) -> str:
    """fp16 where an input of the file is in it, else fp32. Raises as `compile_file` does."""
    import openvino

    with _errors_of_one_line():
        inputs = openvino.Core().read_model(path).inputs
    half = any(port.element_type == openvino.Type.f16 for port in inputs)
    return "fp16" if half else "fp32"


def cpu_lacks(precision: str) -> bool:
    """Whether OpenVINO would compute in another precision on this CPU, without a word."""
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return CAPABILITIES.get(precision, "FP32") not in able


@contextmanager
def _errors_of_one_line() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # after some lines that name its own source files
        raise RuntimeError(str(error).strip().splitlines()[-1]) from error
