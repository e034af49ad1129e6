"""A session of ONNX Runtime. Loads no PyTorch: a device agent has none."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainers.errors import UserError

MISSING = {
    "CUDAExecutionProvider": (
        "latency.backend = onnxruntime: it finds no CUDA or cuDNN of its version; install those "
        "that its release notes name, or set latency.device to cpu"
    ),
    "TensorrtExecutionProvider": (
        "latency.backend = tensorrt: ONNX Runtime finds no TensorRT of its version; install the "
        "one that its release notes name (pip install tensorrt-cu13), or use backend onnxruntime"
    ),
}


def open_session(path: Path, threads: int = 1, gpu: int | None = None, engine: str = "") -> Any:
    """An ONNX Runtime session on the CPU, or on the CUDA device `gpu`; there through TensorRT where
    `engine` names the precision of its engines, fp32 or fp16.

    Its threads rest between runs, so as not to take time from whatever else is measured. Raises
    UserError where the device is not to be had: ONNX Runtime itself would take the CPU instead.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if engine and find_spec("tensorrt"):
        import tensorrt  # noqa: F401 - loads libnvinfer, which a wheel hides from ONNX Runtime
    providers = providers_for(gpu, engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    if providers[0][0] not in session.get_providers():
        raise UserError(MISSING[providers[0][0]])
    return session


def providers_for(gpu: int | None, engine: str = "") -> list[tuple[str, dict[str, Any]]]:
    """ONNX Runtime's execution providers, the first one preferred. See `open_session`."""
    providers: list[tuple[str, dict[str, Any]]] = [("CPUExecutionProvider", {})]
    if gpu is not None:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": gpu}))
    if gpu is not None and engine:
        settings = {"device_id": gpu, "trt_fp16_enable": engine == "fp16"}
        providers.insert(0, ("TensorrtExecutionProvider", settings))
    return providers
