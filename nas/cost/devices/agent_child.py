"""The process of a device agent that measures one ONNX file: prints what came of it as JSON."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas.cost.devices.agent_messages import Order, Times
from nas.cost.latency.onnx_session import open_session
from nas.cost.latency.openvino_file import compile_file, cpu_lacks, precision_of
from nas.cost.latency.timing import take_samples, wall_clock
from search_spaces.garbage import gc_disabled
from trainers.errors import UserError, first_line

TYPES = {  # as the runtimes call them
    **{"tensor(float)": np.float32, "tensor(float16)": np.float16},
    **{"<Type: 'float32'>": np.float32, "<Type: 'float16'>": np.float16},
}
Pass = Callable[[], object]
Opened = tuple[list[tuple[str, list[Any]]], Callable[[np.ndarray], Pass]]
"""Type and shape of every input, and what makes a pass of an image."""


def measure_file(file: Path, order: Order, runtime: str = "onnxruntime") -> Times:
    """Time passes of the network on a random input. Raises what the runtime raises, ValueError for
    a network that does not have one input, of floats and of a fixed size, and for one of float16
    that OpenVINO would compute in another precision here."""
    inputs, passes = OPENED_BY[runtime](file, order.threads)
    try:
        [(kind, shape)] = inputs
        image = np.random.default_rng(0).standard_normal([int(n) for n in shape])
        image = image.astype(TYPES[kind])
    except (KeyError, TypeError, ValueError, RuntimeError):
        found = ", ".join(f"{kind} {shape}" for kind, shape in inputs)
        raise ValueError(
            f"its inputs are {found}; expected one, of floats, all sizes fixed"
        ) from None
    run = passes(image)
    run()
    gc.collect()
    with gc_disabled():
        sample, *_ = take_samples(
            [lambda: wall_clock(run)],
            order.warmup,
            order.repeats,
            order.seconds,
        )
    return Times(first=sample.first, second=sample.second)


def _in_onnx_runtime(file: Path, threads: int) -> Opened:
    session = open_session(file, threads)
    inputs = [(given.type, given.shape) for given in session.get_inputs()]
    name = session.get_inputs()[0].name
    return inputs, lambda image: lambda: session.run(None, {name: image})


def _in_tensorrt(file: Path, threads: int) -> Opened:
    """Input and output stay on the card, as where a search measures by itself."""
    import onnxruntime

    [kind] = {given.type for given in open_session(file).get_inputs()}
    session = open_session(file, threads, 0, "fp16" if kind == "tensor(float16)" else "fp32")
    inputs = [(given.type, given.shape) for given in session.get_inputs()]
    binding = session.io_binding()
    binding.bind_output(session.get_outputs()[0].name, "cuda", 0)

    def passes(image: np.ndarray) -> Pass:
        there = onnxruntime.OrtValue.ortvalue_from_numpy(image, "cuda", 0)
        binding.bind_ortvalue_input(session.get_inputs()[0].name, there)
        return lambda: session.run_with_iobinding(binding)

    return inputs, passes


def _in_openvino(file: Path, threads: int) -> Opened:
    precision = precision_of(file)
    if cpu_lacks(precision):
        raise ValueError(f"it is {precision}, which OpenVINO does not compute in on this CPU")
    compiled = compile_file(file, precision, threads)
    inputs = [(str(port.element_type), _sizes(port.partial_shape)) for port in compiled.inputs]
    request = compiled.create_infer_request()
    return inputs, lambda image: lambda: request.infer({0: image}, share_inputs=True)


def _sizes(shape: Any) -> list[Any]:
    """Those of OpenVINO's dimensions; a text where one is not fixed."""
    return [size.get_length() if size.is_static else str(size) for size in shape]


OPENED_BY = {
    "onnxruntime": _in_onnx_runtime,
    "openvino": _in_openvino,
    "tensorrt": _in_tensorrt,
}


def main(file: str, order: str, runtime: str) -> None:
    """Print the times, or why there are none: `away` where this machine lacks something."""
    try:
        told = measure_file(Path(file), Order.from_json(json.loads(order)), runtime).to_json()
    except UserError as error:
        told = {"away": str(error)}
    except Exception as error:  # whatever a file does to its runtime
        told = {"failed": first_line(error)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
