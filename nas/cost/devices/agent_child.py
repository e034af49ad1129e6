"""The process of a device agent that measures one ONNX file: prints what came of it as JSON."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import numpy as np

from nas.cost.devices.agent_messages import Order, Times
from nas.cost.latency.onnx_session import open_session
from nas.cost.latency.timing import take_samples, wall_clock
from search_spaces.garbage import gc_disabled
from trainers.errors import first_line

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def measure_file(file: Path, order: Order) -> Times:
    """Time passes of the network on a random input. Raises what ONNX Runtime raises, ValueError
    for a network that does not have one input, of floats and of a fixed size."""
    session = open_session(file, order.threads)
    try:
        [given] = session.get_inputs()
        dtype = TYPES[given.type]
        image = np.random.default_rng(0).standard_normal([int(n) for n in given.shape])
    except (KeyError, TypeError, ValueError):
        found = ", ".join(f"{one.type} {one.shape}" for one in session.get_inputs())
        raise ValueError(
            f"its inputs are {found}; expected one, of floats, all sizes fixed"
        ) from None
    inputs = {given.name: image.astype(dtype)}
    session.run(None, inputs)
    gc.collect()
    with gc_disabled():
        sample, *_ = take_samples(
            [lambda: wall_clock(lambda: session.run(None, inputs))],
            order.warmup,
            order.repeats,
            order.seconds,
        )
    return Times(first=sample.first, second=sample.second)


def main(file: str, order: str) -> None:
    """Print the times, or why there are none."""
    try:
        told = measure_file(Path(file), Order.from_json(json.loads(order))).to_json()
    except Exception as error:  # whatever a file does to ONNX Runtime
        told = {"failed": first_line(error)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
