"""What is to be seen on a GPU, in one run of under an hour: tables in Markdown.

    python benchmarks/on_gpu.py --to on_gpu.md --hippocampus Task04_Hippocampus
    python benchmarks/on_gpu.py --only trainer --train deterministic=false
    python benchmarks/on_gpu.py --device cpu --only trainer latency --size 16 --steps 2 \\
        --seconds 0.2 --presets hybrid-xs                       # any machine: shows that it runs

Parts, each of its own use, and one that fails says why while the others go on:

- `trainer`: steps a second of the trainer as it comes, beside a bare loop over tensors on the
  device, and what one H200 had before steps were captured (28 November 2026). Twice from one
  seed: whether the losses are equal, digit for digit.
- `kernels`: where the device's time of a bare step goes, norms, convolutions, products, copies.
- `latency`: single passes by backend and precision.
- `stp`: STP + MTA beside UNETR (`stp_speedup.py`), in bf16, and in fp32 without TF32 as the paper.
- `search`: seconds to the first result and to the end of ten trials at once on hippocampus.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import torch
import yaml
from gpu.latency import latency_rows
from gpu.search import search_rows
from gpu.share import share_rows
from gpu.sparse import sparse_rows
from gpu.training import training_rows
from gpu.work import Rows, Work

from nas.cli.main import one_line_errors
from nas.cost.latency import device_name

PARTS: dict[str, Callable[[Work], Rows]] = {
    "trainer": training_rows,
    "kernels": share_rows,
    "latency": latency_rows,
    "stp": sparse_rows,
    "search": search_rows,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--presets", nargs="+", help="in place of those of every part")
    parser.add_argument("--size", type=int, help="voxels along each axis, in place of all sizes")
    parser.add_argument("--seconds", type=float, default=3.0, help="of every figure (default: 3)")
    parser.add_argument("--steps", type=int, default=60, help="of an epoch (default: 60)")
    parser.add_argument("--train", nargs="+", default=[], metavar="KEY=VALUE", help="of `train`")
    parser.add_argument("--hippocampus", type=Path, help="folder of Task04, for `search`")
    parser.add_argument("--to", type=Path, help="a file for the tables")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; see --help for what a CPU can show")
    work = Work(
        device=device,
        presets=options.presets,
        size=options.size,
        seconds=options.seconds,
        steps=options.steps,
        train={
            key: yaml.safe_load(value) for key, value in (t.split("=", 1) for t in options.train)
        },
        hippocampus=options.hippocampus,
    )
    lines = [f"{date.today():%d %B %Y}, {device_name(device)}, torch {torch.__version__}", ""]
    for part in options.only:
        for line in section(part, work):
            print(line, flush=True)
            lines.append(line)
    if options.to:
        options.to.write_text("\n".join(lines) + "\n")
    return 0


def section(part: str, work: Work) -> Iterator[str]:
    """A table in Markdown, line by line, as its rows are measured."""
    yield f"## {part}"
    columns: Sequence[str] = ()
    try:
        for row in PARTS[part](work):
            if not set(row) <= set(columns):  # the first row, or the first that is no failure
                columns = list(row)
                yield from ("", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}")
            yield f"| {' | '.join(str(row.get(column, '')) for column in columns)} |"
    except Exception as error:  # an hour on a card is dear: the other parts go on
        yield f"\n{part} ended: {type(error).__name__}: {error}"
    yield ""


if __name__ == "__main__":
    sys.exit(one_line_errors(main))
