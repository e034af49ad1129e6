"""Do the papers' ablations keep their order on small volumes? Variants at an equal number of steps.

    python benchmarks/orderings.py --data Task04_Hippocampus --split configs/hippocampus_split.json

Data and recipe are those of configs/hippocampus.yaml, one core, one seed: differences under .005
Dice mean nothing. Beside them stands what the paper gained over the first row: LightMedSeg's
ablation on BraTS, SlimFormer-3D's Table 1 with three blocks, STP's Table 3 on BTCV, APFormer's
Table IV.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from families import open_task, table, train
from json_lines import append
from rich.console import Console

from nas.cli.main import one_line_errors
from search_spaces.registry import find_preset
from search_spaces.slimformer import SlimFormer, SlimLayer
from search_spaces.space import Architecture
from trainers.config import TrainConfig

STEPS = 300


@dataclass(frozen=True)
class Ablation:
    """Variants of a network, the reference first, each with the published difference in Dice."""

    variants: Mapping[str, tuple[Architecture, float]]
    train: Mapping[str, Any] = field(default_factory=dict)


def changed(preset: str, **choices: Any) -> Architecture:
    return replace(find_preset(preset), **choices)


def slim(*gates: str) -> SlimFormer:
    """The tiny network, its blocks with layers of those gates."""
    tiny = find_preset("slimformer3d-tiny")
    assert isinstance(tiny, SlimFormer)
    layers = tuple(SlimLayer(gate=gate) for gate in gates)
    blocks = tuple(replace(b, layers_count=len(layers), layers=layers) for b in tiny.blocks)
    return replace(tiny, blocks=blocks)


ABLATIONS = {
    "lightmedseg": Ablation(
        {
            "as published": (changed("lightmedseg-small"), 0.0),
            "without LSPM": (changed("lightmedseg-small", lspm=False), -0.0293),
            "without anchors": (changed("lightmedseg-small", anchors=0), -0.0150),
            "without router": (changed("lightmedseg-small", router=False), -0.0116),
            "standard convolutions": (changed("lightmedseg-small", conv="standard"), 0.0138),
            "K = 16": (changed("lightmedseg-small", anchors=16), 0.0021),
            "K = 32": (changed("lightmedseg-small", anchors=32), 0.0073),
        }
    ),
    "slimformer": Ablation(
        {
            "both layers whole": (slim("both", "both"), 0.0),
            "second without mixer": (slim("both", "mlp"), -0.005),
            "second without MLP": (slim("both", "mixer"), -0.007),
        }
    ),
    "token_sparse": Ablation(
        {
            "UNETR": (changed("unetr-tiny"), 0.0),
            "STP + MTA, r = 0.25": (changed("stp-mta-unetr-tiny", prune=0.25), 0.0078),
            "STP + MTA, r = 0.5": (changed("stp-mta-unetr-tiny", prune=0.5), 0.0103),
            "STP + MTA, r = 0.75": (changed("stp-mta-unetr-tiny", prune=0.75), 0.0117),
            "STP + MTA, r = 0.9": (changed("stp-mta-unetr-tiny", prune=0.9), 0.0140),
        },
        {"learning_rate": 2e-3},
    ),
    "apformer": Ablation(
        {
            "unpruned": (
                changed("apformer-xs", prune_queries=False, prune_dependencies=False),
                0.0,
            ),
            "pruned": (changed("apformer-xs"), 0.0076),
        },
        {"learning_rate": 3e-3},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder")
    parser.add_argument("--split", type=Path, help="JSON split (default: the configuration's)")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--only", nargs="+", choices=ABLATIONS, default=list(ABLATIONS))
    parser.add_argument("--to", type=Path, help="append one JSON line a network")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as workdir:
        task = open_task(options.data, options.split, Path(workdir))
        for paper in options.only:
            ablation = ABLATIONS[paper]
            config = TrainConfig(**{**task.train.model_dump(), **ablation.train})
            for name, (architecture, gain) in ablation.variants.items():
                row = {"paper": paper, "variant": name, "published": f"{gain:+.4f}"}
                rows.append({**row, **train(architecture, config, options.steps, task)})
                if options.to:
                    append(options.to, rows[-1])
    Console().print(table(rows, ("paper", "variant", "published")))


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
