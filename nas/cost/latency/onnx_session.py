"""A session of ONNX Runtime. Loads no PyTorch: a device agent has none."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from trainers.errors import UserError


def open_session(path: Path, threads: int = 1, gpu: int | None = None) -> Any:
    """An ONNX Runtime session on the CPU, or on the CUDA device `gpu`.

    Its threads rest between runs, so as not to take time from whatever else is measured. Raises
    UserError where the device is not to be had: ONNX Runtime itself would take the CPU instead.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers: list[Any] = ["CPUExecutionProvider"]
    if gpu is not None:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": gpu}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    if gpu is not None and "CUDAExecutionProvider" not in session.get_providers():
        raise UserError(
            "latency.backend = onnxruntime: it finds no CUDA or cuDNN of its version; install "
            "those that its release notes name, or set latency.device to cpu"
        )
    return session
