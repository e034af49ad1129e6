"""`segnas latency`: one network on this machine, by backend, precision and threads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from nas.cli import arguments
from nas.cli.console import note, print_wide
from nas.pareto.objectives import in_digits
from nas.report.plain_table import plain_table
from trainers.errors import UserError, first_line

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nas.cost.latency import Conditions, Latency, LatencyConfig

HELP = "measure how long a network takes"
# Those of nas.cost.latency.config, which would take seconds to import.
BACKENDS = ("eager", "compile", "graph", "onnxruntime", "openvino", "tensorrt")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True)
class Row:
    """One combination: its latency, or the reason why there is none."""

    backend: str = BACKENDS[0]
    precision: str = PRECISIONS[0]
    threads: int = 1
    latency: Latency | None = None
    reason: str | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """What is combined, by the names that `LatencyConfig` has for it."""
        return {"backend": self.backend, "precision": self.precision, "threads": self.threads}

    def why(self) -> str:
        """One line for a combination that failed."""
        return f"{self.backend}, {self.precision}, threads {self.threads}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        if self.latency is None:
            return {**self.conditions, "reason": self.reason}
        values = self.latency.to_json()
        values["patches_per_s"] = self.latency.patches_per_s
        if volume := self.latency.volume:
            values["volume"]["volumes_per_s"] = volume.volumes_per_s
            values["volume"]["frames_per_s"] = volume.frames_per_s
        return {**self.conditions, "latency": values}


def add_arguments(command: argparse.ArgumentParser) -> None:
    arguments.add_network(command)
    for name, known in (("backend", BACKENDS), ("precision", PRECISIONS)):
        command.add_argument(
            f"--{name}",
            type=arguments.some_of(known),
            default=known[:1],
            metavar="A,B",
            help=f"some of {', '.join(known)} (default: {known[0]})",
        )
    command.add_argument(
        "--quantisation", choices=("static", "dynamic"), default="static", help="of int8"
    )
    command.add_argument(
        "--threads",
        type=arguments.numbers(",", "counts, like 1,2,4"),
        default=(1,),
        metavar="N,M",
        help="of the CPU (default: 1)",
    )
    command.add_argument("--device", default="auto", help="cpu, cuda or cuda:N (default: a GPU)")
    command.add_argument("--batch", type=int, default=1, help="patches in one pass (default: 1)")
    command.add_argument(
        "--volume",
        type=arguments.numbers("x", "three sizes, like 240x240x155", 3),
        metavar="DxHxW",
        help="time the whole volume's prediction, too",
    )
    command.add_argument(
        "--seconds", type=float, default=2.0, help="of each of the two runs (default: 2)"
    )
    arguments.add_json(command)


def run(options: argparse.Namespace) -> int:
    """Measure every combination; those that fail tell why. Returns 1 where all failed."""
    import torch

    from nas.cli.network_argument import find_architecture

    architecture = find_architecture(options.network, options.input)
    device = _check(options)
    torch.manual_seed(0)
    network = architecture.build(options.input[0], options.classes)
    rows = []
    for combined in product(options.backend, options.precision, options.threads):
        row = Row(*combined)
        # A line and no bar: a bar's thread would take its time from what is measured.
        note(f"measuring {row.backend}, {row.precision}, threads: {row.threads}")
        rows.append(_measured(row, network, device, options))
    if options.json:
        print(json.dumps({"key": architecture.key, "rows": [row.to_json() for row in rows]}))
    else:
        print_wide(latency_table(f"{options.network} ({architecture.key})", rows))
    return 0 if any(row.latency for row in rows) else 1


def _check(options: argparse.Namespace) -> torch.device:
    """The device. Raises UserError for what is wrong whatever the combination."""
    import torch
    from pydantic import ValidationError

    from nas.cost.latency.machine import latency_device

    try:
        config = _config(options, Row())
    except ValidationError as error:
        wrong = error.errors()[0]
        raise UserError(f"--{wrong['loc'][0]} {wrong['input']}: {wrong['msg']}") from None
    return latency_device(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _config(options: argparse.Namespace, row: Row) -> LatencyConfig:
    from nas.cost.latency import LatencyConfig

    return LatencyConfig.model_validate(
        {
            **row.conditions,
            "device": options.device,
            "quantisation": options.quantisation,
            "batch": options.batch,
            "patch": (1, *options.input[1:])[-3:],  # a slice is a volume of one
            "volume": options.volume,
            "seconds": options.seconds,
        }
    )


def _measured(
    row: Row, network: nn.Module, device: torch.device, options: argparse.Namespace
) -> Row:
    from pydantic import ValidationError

    from nas.cost.latency import LatencyError
    from nas.cost.latency.measure import measure_latency

    try:
        config = _config(options, row)
        latency = measure_latency(network, options.input[0], config, device)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
    except (UserError, LatencyError, OSError, MemoryError, RuntimeError) as error:
        reason = first_line(error)
    else:
        return replace(row, latency=latency)
    return replace(row, reason=reason)


def latency_table(title: str, rows: Sequence[Row]) -> Group:
    """A row a combination; what they share is the caption. Below, why some have no figures."""
    measured = [row.latency for row in rows if row.latency is not None]
    volumes = any(latency.volume for latency in measured)
    names = ["p50 ms", "p90 ms", "p99 ms", "mean ms", "noise", "patches/s"]
    names += ["volumes/s", "slices/s"] if volumes else []
    how, caption = ("backend", "precision"), _caption([m.conditions for m in measured])
    whole = (*how, "threads", *names)
    table = plain_table(how, whole[2:], whole=whole, title=title, caption=caption)
    for row in rows:
        figures = _figures(row.latency, volumes) if row.latency else ["-"] * len(names)
        table.add_row(row.backend, row.precision, str(row.threads), *figures)
    return Group(table, *(Text(row.why()) for row in rows if row.reason))


def _figures(latency: Latency, volumes: bool) -> list[str]:
    times = (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.mean_ms)
    figures = [in_digits(ms, 4) for ms in times]
    noise = "-" if latency.noise is None else f"{latency.noise:.1%}"
    figures += [noise, in_digits(latency.patches_per_s, 4)]
    if volumes:
        assert latency.volume is not None
        rates = (latency.volume.volumes_per_s, latency.volume.frames_per_s)
        figures += [in_digits(rate, 4) for rate in rates]
    return figures


def _caption(conditions: Sequence[Conditions]) -> str:
    """The conditions that the rows' own columns do not tell."""
    if not conditions:
        return ""
    batch, channels, *size = conditions[0].shape
    machines = {f"{c.device} ({c.driver})" for c in conditions}
    runtimes = {c.runtime for c in conditions}
    shape = f"batch {batch} of {'x'.join(map(str, (channels, *size)))}"
    return "; ".join([", ".join(sorted(machines)), shape, ", ".join(sorted(runtimes))])
