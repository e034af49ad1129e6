"""Which backend and precision is fastest for which network on this machine?

    python benchmarks/latency_backends.py

One row a combination and network, with its speed relative to eager float32. Nothing else should
run. Takes about ten minutes, most of which is exporting and compiling.
"""

from __future__ import annotations

import argparse

import torch
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from nas.cost.latency import Latency, LatencyConfig, LatencyError, conditions_of
from nas.cost.latency.measure import measure_latency
from search_spaces.registry import find_preset

CHANNELS, CLASSES = 1, 4
PRESETS = (
    "hybrid-s",
    "hybrid-tokens",
    "slimformer3d-tiny",
    "lightmedseg",
    "deploylite-s",
    "unet-s",
)
COMBINATIONS = (
    {"backend": "eager", "precision": "fp32"},
    {"backend": "eager", "precision": "bf16"},
    {"backend": "compile", "precision": "fp32"},
    {"backend": "compile", "precision": "bf16"},
    {"backend": "onnxruntime", "precision": "fp32"},
    {"backend": "onnxruntime", "precision": "fp16"},
    {"backend": "onnxruntime", "precision": "int8", "quantisation": "static"},
    {"backend": "onnxruntime", "precision": "int8", "quantisation": "dynamic"},
    {"backend": "openvino", "precision": "fp32"},
    {"backend": "openvino", "precision": "bf16"},
    {"backend": "openvino", "precision": "int8", "quantisation": "static"},
)
BACKENDS = tuple(dict.fromkeys(each["backend"] for each in COMBINATIONS))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--size", type=int, default=64, help="voxels along each axis")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device, console = torch.device(options.device), Console()
    common = {"patch": (options.size,) * 3, "threads": options.threads, "device": options.device}
    told = conditions_of(CHANNELS, LatencyConfig.model_validate(common), device)
    console.print(f"{told.device} ({told.driver}), threads: {told.threads}", highlight=False)

    made = Table(title=f"one patch of {options.size}^3")
    for name in ("network", "backend", "precision"):
        made.add_column(name)
    for name in ("p50 ms", "p99 ms", "noise", "times as fast"):
        made.add_column(name, justify="right")
    reasons: list[str] = []
    for preset in options.presets:
        eager = None
        for combination in COMBINATIONS:
            if combination["backend"] not in options.backends:
                continue
            console.print(preset, *combination.values(), highlight=False)
            outcome = measured(preset, {**common, **combination}, device)
            eager = eager or outcome
            backend, *precision = combination.values()
            names = preset, backend, " ".join(precision)
            if isinstance(outcome, str):
                reasons.append(f"{', '.join(names)}: {outcome}")
            else:
                made.add_row(*names, *figures(outcome, eager))
        made.add_section()
    console.print(made, *reasons, sep="\n", highlight=False, markup=False)


def measured(preset: str, values: dict[str, object], device: torch.device) -> Latency | str:
    """The latency, or why there is none."""
    network = find_preset(preset).build(CHANNELS, CLASSES)
    try:
        config = LatencyConfig.model_validate(values)
        return measure_latency(network, CHANNELS, config, device)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    except LatencyError as error:
        return str(error)


def figures(latency: Latency, eager: Latency | str | None) -> list[str]:
    """A row's cells beside its names."""
    faster = f"{eager.p50_ms / latency.p50_ms:.2f}" if isinstance(eager, Latency) else "-"
    return [f"{latency.p50_ms:.2f}", f"{latency.p99_ms:.2f}", f"{latency.noise:.1%}", faster]


if __name__ == "__main__":
    main()
