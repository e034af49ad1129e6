"""Do anchors and token scores do more than constants and chance would? A table for each set.

    mkdir -p runs/a && segnas init DATA --to runs/a/plan.yaml     # once a set
    python benchmarks/mechanisms.py runs/a runs/b --steps 300 --seeds 2 --to mechanisms.jsonl

Every variant of a mechanism is trained by the recipe of each search folder (see
`prepared_search.py`) for so many steps, and scored on its validation cases, once, at the end.

Anchors (LightMedSeg) by each head, beside learned ones that are the same in every case and none.
`spread` is their standard deviation between the validation cases, `followed` by how much they move
with a case that is moved by eighths of its size, as a share of that; `fixed` is Dice of the same
weights with the mean of those cases in place of their own anchors.

Token scores (STP) beside scores at random, drawn anew in each pass, and beside no pruning. `kept`
is the share of the tokens with foreground in them that stays after the last place, over that of all
tokens: 1 is chance.

A training is a line in the file `--to`; what is there already is not trained again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import torch
from json_lines import append, read
from prepared_search import read_plan
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.functional import max_pool3d

from nas.cli.main import one_line_errors
from nas.config.run_config import RunConfig
from search_spaces.axes import axes_for
from search_spaces.blocks.token_pruning import SoftTopK
from search_spaces.networks.lightmedseg_net import LightMedSegNet
from search_spaces.networks.sparse_unetr import SparseUNETR
from search_spaces.registry import find_preset
from trainers.config import TrainConfig
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.trainer import Trainer

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Data:
    """What a search folder plans, and its cases."""

    config: RunConfig
    cache: VolumeCache
    cases: Cases


@dataclass(frozen=True)
class Variant:
    """A preset, choices that differ, what is put into its place, and what is then measured."""

    preset: str
    choices: Mapping[str, Any]
    substitute: Callable[[nn.Module], object] = lambda network: None
    measure: Callable[[Trainer, Data], dict[str, float]] = lambda trainer, data: {}
    learning_rate: float | None = None


# Anchors


class ConstantAnchors(nn.Module):
    """Anchors that training finds for all cases together."""

    def __init__(self, anchors: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(anchors, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.place.sigmoid().expand(len(x), -1, -1)


class FixedAnchors(nn.Module):
    """These anchors, (K, 3)."""

    def __init__(self, anchors: torch.Tensor) -> None:
        super().__init__()
        self.anchors = anchors

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.anchors.expand(len(x), -1, -1)


def without_seeing(network: nn.Module) -> None:
    assert isinstance(network, LightMedSegNet)
    network.detect = ConstantAnchors(8)  # type: ignore[assignment]


@torch.no_grad()
def anchors_of_cases(trainer: Trainer, data: Data) -> dict[str, float]:
    network = trainer.network.eval()
    assert isinstance(network, LightMedSegNet) and network.detect is not None
    cases = [middle(data.cache.image(name), trainer.config) for name in data.cases.validation]
    found = torch.stack([network.detect(x)[0] for x in cases])  # (cases, K, 3)
    moved = []
    for x in cases:
        for axis in range(3):
            by = x.shape[2 + axis] // 8
            there, back = (
                network.detect(x.roll(way * by, 2 + axis))[0, :, axis] for way in (1, -1)
            )
            moved.append((there - back).mean() / (2 * by / x.shape[2 + axis]))
    seeing, network.detect = network.detect, FixedAnchors(found.mean(0))  # type: ignore[assignment]
    fixed, _ = trainer.validate()
    network.detect = seeing
    return {
        "spread": float(found.std(0).mean()),
        "followed": float(torch.stack(moved).mean()),
        "fixed": fixed,
    }


# Token scores


class Chance(nn.Module):
    """Scores (B, N) that say nothing of the tokens (B, N, C)."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.randn(z.shape[:2])


def by_chance(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, SoftTopK):
            module.scores = Chance()


@torch.no_grad()
def foreground_kept(trainer: Trainer, data: Data) -> dict[str, float]:
    network = trainer.network.eval()
    assert isinstance(network, SparseUNETR)
    patch, share = network.embed.kernel_size, []
    stp = [m for m in network.modules() if isinstance(m, SoftTopK)]
    pruned: list[torch.Tensor] = []
    hooks = [m.register_forward_hook(lambda *a: pruned.append(a[2].kept_index)) for m in stp]
    for name in data.cases.validation:
        pruned.clear()
        network(middle(data.cache.image(name), trainer.config))
        label = middle(torch.as_tensor(data.cache.label(name))[None], trainer.config).float()
        there = max_pool3d((label > 0).float(), patch, patch).flatten()
        left = torch.arange(len(there))
        for index in pruned:
            left = left[index[0]]
        if there.any() and not there.all():
            share.append(float(there[left].sum() / there.sum()) / (len(left) / len(there)))
    for hook in hooks:
        hook.remove()
    return {"kept": statistics.mean(share)}


def middle(volume: torch.Tensor, train: TrainConfig) -> torch.Tensor:
    """The patch (1, C, *patch) in the middle of a volume (C, *S), filled up with its least."""
    volume = torch.as_tensor(volume)
    x = volume.new_full((len(volume), *train.patch), float(volume.min()))
    into, out = [slice(None)], [slice(None)]
    for length, side in zip(volume.shape[1:], train.patch, strict=True):
        take = min(length, side)
        out.append(slice((length - take) // 2, (length + take) // 2))
        into.append(slice((side - take) // 2, (side + take) // 2))
    x[tuple(into)] = volume[tuple(out)]
    return x[None]


def anchors(head: str, **more: Any) -> Variant:
    return Variant("lightmedseg-small", {"anchors_head": head}, measure=anchors_of_cases, **more)


def tokens(prune: float, **more: Any) -> Variant:
    return Variant("stp-mta-unetr-tiny", {"prune": prune}, learning_rate=2e-3, **more)


VARIANTS: Mapping[str, Mapping[str, Variant]] = {
    "anchors": {
        "pooled": anchors("pooled"),
        "soft-argmax": anchors("soft-argmax"),
        "constant": anchors("pooled", substitute=without_seeing),
        "none": Variant("lightmedseg-small", {"anchors": 0}),
    },
    "tokens": {
        "learned, r = 0.9": tokens(0.9, measure=foreground_kept),
        "chance, r = 0.9": tokens(0.9, measure=foreground_kept, substitute=by_chance),
        "learned, r = 0.5": tokens(0.5, measure=foreground_kept),
        "chance, r = 0.5": tokens(0.5, measure=foreground_kept, substitute=by_chance),
        "unpruned": tokens(0.0),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="of searches: with a plan or begun")
    parser.add_argument("--to", type=Path, required=True, help="JSON lines, one a training")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="these alone (default: all)")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for folder in options.folders:
        for row in missing(folder, options):
            append(options.to, row)
            Console(stderr=True).print(row)
    rows = read(options.to)
    for folder in options.folders:
        for mechanism in options.only:
            here = {"set": folder.name, "mechanism": mechanism, "steps": options.steps}
            found = [row for row in rows if here.items() <= row.items()]
            Console(width=120).print(table(f"{folder.name}: {mechanism}", found))


def missing(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Trains what is not in the file yet, first every variant with the first seed."""
    config = read_plan(folder, options.settings)
    data = Data(config, *prepare_data(config.data, folder))
    for seed in range(options.seeds):
        for mechanism in options.only:
            for name, variant in VARIANTS[mechanism].items():
                if options.variants and name not in options.variants:
                    continue
                one = {"set": folder.name, "mechanism": mechanism, "variant": name}
                one |= {"steps": options.steps, "seed": seed}
                if not any(one.items() <= row.items() for row in read(options.to)):
                    yield {**one, **trained(variant, seed, options.steps, data)}


def trained(variant: Variant, seed: int, steps: int, data: Data) -> dict[str, float]:
    """Dice, CPU minutes, and what is measured besides."""
    started = process_time()
    rate = variant.learning_rate or data.config.train.learning_rate
    schedule = {"epochs": 1, "steps_per_epoch": steps, "validate_every": 1, "learning_rate": rate}
    recipe = data.config.train.model_copy(update=schedule)
    axes = axes_for(data.cache.prepared_voxel_size, recipe.patch)
    point = replace(find_preset(variant.preset).with_axes(axes), **variant.choices)
    torch.manual_seed(seed)
    network = point.build(data.cache.channels, data.cache.targets.outputs)
    variant.substitute(network)
    trainer = Trainer(network, data.cache, data.cases, recipe, device=CPU, seed=seed)
    dice = trainer.run_epoch().dice
    assert dice is not None  # the last epoch validates
    minutes = (process_time() - started) / 60
    return {"dice": dice, "minutes": minutes, **variant.measure(trainer, data)}


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each variant: mean Dice, that of every seed, and the means of what was measured."""
    seeds = sorted({row["seed"] for row in rows})
    more = [n for n in ("spread", "followed", "fixed", "kept") if any(n in row for row in rows)]
    made = Table(title=title)
    for column in ("variant", "Dice", *(f"seed {seed}" for seed in seeds), *more):
        made.add_column(column, justify="left" if column == "variant" else "right")
    for name in dict.fromkeys(row["variant"] for row in rows):
        mine = {row["seed"]: row for row in rows if row["variant"] == name}
        texts = [f"{mine[seed]['dice']:.4f}" if seed in mine else "" for seed in seeds]
        mean = statistics.mean(row["dice"] for row in mine.values())
        measured = [[row[n] for row in mine.values() if n in row] for n in more]
        texts += [f"{statistics.mean(values):.4f}" if values else "" for values in measured]
        made.add_row(name, f"{mean:.4f}", *texts)
    return made


if __name__ == "__main__":
    raise SystemExit(one_line_errors(main))
