"""From an exported network to a smaller one: an export of its own, taught by the first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from nas.config.yaml_file import write_config
from nas.cost.latency.machine import check_machine
from nas.export.compress.figures import figures, latencies, latency_config, validation_dice
from nas.export.compress.int8 import check_int8, int8_figures
from nas.export.compress.low_rank import factorise
from nas.export.compress.patches import TrainingPatches
from nas.export.compress.prune import prune
from nas.export.export_folder import COMPRESSION, CONFIG, FOLDS, SPLIT, TRIAL_WEIGHTS, Export
from nas.export.learnt_cases import LEARNT, has_learnt, learnt_cases
from nas.export.model_card import write_card
from nas.export.retrain import EpochTold, Plan, check_plan, check_task, check_use, retrain
from search_spaces.blocks.prunable import prunable
from search_spaces.compressed import compressed
from search_spaces.registry import ARCHITECTURE, architecture_record
from search_spaces.space import Architecture, axes_of
from trainers.atomic import fill_folder, new_folder, replace_files
from trainers.checkpoint import write_checkpoint
from trainers.config import RetrainConfig
from trainers.counted import counted
from trainers.data.cache import VolumeCache
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.errors import UserError
from trainers.losses import segmentation_loss
from trainers.segmenter import best_device

Method = Literal["prune", "low-rank", "distil", "quantise-aware"]
USUAL = {"prune": ("heads", "neurons"), "low-rank": ("linear",)}
KINDS = ("heads", "neurons", "channels", "linear", "convolutions")
WITHOUT = {"prune": ("channels",)}  # of networks that have none of the usual
FEATURES = 1.0  # weight of the teacher's features where a network is distilled
Note = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Compression:
    """What is made smaller, and how it is trained then.

    `keep`: the share that is left, of every block's units, or of every map's weights. `of`: which
    units or maps, by default those of `USUAL`, and of a network that has none those of `WITHOUT`.
    `student`: of `distil`, which is trained from new weights. `steps`: of training; None for 300,
    of `distil` for the whole schedule. `settings`: of that training, as `key=value`. `patches`: of
    training cases, from which is told what matters. `threads`: of the CPU, for latencies.
    """

    method: Method
    keep: float = 0.5
    of: tuple[str, ...] = ()
    student: Architecture | None = None
    steps: int | None = None
    settings: tuple[str, ...] = ()
    patches: int = 32
    threads: int = 1

    def parts(self, network: nn.Module) -> tuple[str, ...]:
        """What it reduces of that network."""
        usual = USUAL.get(self.method, ())
        if self.of or self.method not in WITHOUT:
            return self.of or usual
        there = {each.kind for each in prunable(network).values()}
        return usual if there & {*usual} else WITHOUT[self.method]


def compress(
    export: Export,
    plan: Compression,
    to: Path,
    report: EpochTold,
    progress: Progress | None = None,
    note: Note = lambda _: None,
) -> dict[str, Any]:
    """Fill the folder `to` with the compressed network, trained; returns its `compression.json`.

    The network in use of `export` is the teacher, and is left as it is. Raises UserError where it
    has nothing of what is to be compressed, or `to` holds something already; nothing is written
    then, nor where anything else is raised.
    """
    _check(export, plan)
    new_folder(to)
    cache, cases = prepare_data(export.config.data, export.folder, progress)
    check_task(export, cache)
    before = export.network()
    if plan.method == "quantise-aware":
        check_int8(before, export)
    parts = plan.parts(before)
    network, sizes = _smaller(before, export, plan, parts, cache, cases, note)
    reduced = _reduced(before, sizes)
    if plan.student is not None:
        architecture = plan.student.with_axes(axes_of(export.architecture)).canonical()
    else:
        architecture = compressed(export.architecture, **sizes)
    record: dict[str, Any] = {}

    def build(folder: Path) -> None:
        _write(folder, export, plan, architecture, network)
        original = {
            "folder": str(export.folder.resolve()),
            "key": export.architecture.key,
            "weights": export.fingerprint,
            "saw_validation": has_learnt(export, cases.validation),
            LEARNT: sorted(learnt_cases(export).training),
        }
        # Before its training, after which postprocessing is chosen on cases that neither has seen.
        replace_files({folder / COMPRESSION: json.dumps({"original": original}).encode()})
        steps = 300 if plan.steps is None and plan.method != "distil" else plan.steps
        if steps != 0:
            _train(folder, export, plan, steps, report)
        rows = _compare(folder, export, plan, before, network, cache, cases, note)
        told = {
            "method": plan.method,
            **({"keep": plan.keep, "of": reduced or parts} if parts else {}),
            "steps": steps,
            "original": original,
            "figures": rows,
        }
        record.update(told)
        replace_files({folder / COMPRESSION: json.dumps(told, indent=1).encode()})
        write_card(folder)

    fill_folder(to, build)
    return record


def _check(export: Export, plan: Compression) -> None:
    """Raise UserError for what is wrong before anything is computed."""
    if export.weights.name == FOLDS:
        raise UserError(
            f"{export.folder} uses the networks of several folds, and one is compressed; train one "
            "with segnas retrain, or have the ensemble teach it with segnas retrain --teacher"
        )
    if (plan.method == "distil") != (plan.student is not None):
        raise UserError("--student goes with --method distil, which needs one; give both or none")
    if plan.method == "distil" and plan.steps == 0:
        raise UserError("--steps 0 with --method distil: a student with new weights has to learn")
    check_use(export, _fine_tuning(export, plan))
    int8 = plan.method == "quantise-aware"
    timed = latency_config(export, plan.threads, in_onnx=int8)
    check_machine(timed, torch.device("cpu") if int8 else best_device())


def _smaller(
    network: nn.Module,
    export: Export,
    plan: Compression,
    parts: tuple[str, ...],
    cache: VolumeCache,
    cases: Cases,
    note: Note,
) -> tuple[nn.Module | None, dict[str, Mapping[str, int]]]:
    """A copy of the trained network with less in it, and the sizes left; None of `distil`."""
    nothing: dict[str, Mapping[str, int]] = {"kept": {}, "ranks": {}}
    if plan.method == "distil":
        return None, nothing
    smaller, device = deepcopy(network), best_device()
    train = export.trained
    patches = TrainingPatches(cache, cases.train, train, plan.patches, export.config.seed)
    if plan.method == "prune":
        note(f"which {' and '.join(parts)} matter, on {plan.patches} patches")
        loss = segmentation_loss(train.loss, cache.targets)
        kept = prune(smaller, plan.keep, parts, patches(device), loss)
        found = {**nothing, "kept": kept}
    elif plan.method == "low-rank":
        note(f"what maps are given, on {plan.patches} patches")
        images = (image for image, _ in patches(device))
        found = {**nothing, "ranks": factorise(smaller, plan.keep, parts, images)}
    else:
        return smaller, nothing
    if plan.keep < 1 and not any(found.values()):
        what = " or ".join(parts)
        others = {each.kind for each in prunable(network).values()} - {*parts}
        has = ", ".join(kind for kind in KINDS if kind in others) or "no others"
        hint = f"it has {has}" if plan.method == "prune" else "choose others"
        raise UserError(
            f"{export.folder}: a network of {export.architecture.space} without {what} that can be "
            f"reduced to {plan.keep:g}; {hint} (--of), or choose another --method"
        )
    return smaller, found


def _reduced(network: nn.Module, sizes: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """The kinds of units and maps of the original of which some went."""
    units = prunable(network)
    kinds = {units[name].kind for name in sizes["kept"]}
    maps = (network.get_submodule(path) for path in sizes["ranks"])
    found = {"linear" if isinstance(each, nn.Linear) else "convolutions" for each in maps}
    return tuple(kind for kind in KINDS if kind in kinds | found)


def _write(
    folder: Path,
    export: Export,
    plan: Compression,
    architecture: Architecture,
    network: nn.Module | None,
) -> None:
    """The folder as `segnas export` has it; the trial's weights are those before fine-tuning.

    Settings count where the data are and for this training, not in the folder's schedule.
    """
    own, source = Export(export.folder), json.loads((export.folder / ARCHITECTURE).read_text())
    config, data = own.config, export.config.data
    split = data.split
    if isinstance(split, Path):
        shutil.copyfile(split, folder / SPLIT)
    data = data.portable().model_copy(
        update={
            "split": Path(SPLIT) if isinstance(split, Path) else split,
            "cache": data.cache_folder(export.folder).resolve(),
        }
    )
    train = own.trained
    if plan.method == "distil":
        taught = train.distillation.model_copy(update={"features": FEATURES})
        train = train.model_copy(update={"distillation": taught})
    task = config.task.model_copy(update={"patch": train.patch})
    changes = {"name": f"{config.name}-{plan.method}", "task": task, "data": data, "train": train}
    write_config(config.model_copy(update=changes), folder / CONFIG)
    origin = {"trial": export.architecture.key, **source.get("origin", {})}
    record = {**architecture_record(architecture), "origin": origin}
    (folder / ARCHITECTURE).write_text(json.dumps(record, indent=1))
    if network is not None:
        write_checkpoint(folder / TRIAL_WEIGHTS, {"weights": network.state_dict()})


def _train(
    folder: Path, export: Export, plan: Compression, steps: int | None, report: EpochTold
) -> None:
    schedule = Export(folder).config.train
    length = [] if steps is None else _settings(schedule, steps)
    how = _fine_tuning(export, plan)
    smaller = Export(folder, ["train.all_cases=false", *length, *plan.settings])
    check_plan(smaller, how)
    retrain(smaller, how, report)


def _fine_tuning(export: Export, plan: Compression) -> Plan:
    """How what was made smaller is trained."""
    return Plan(
        start="scratch" if plan.method == "distil" else "trial",
        teacher=export.folder,
        quantise_aware=plan.method == "quantise-aware",
    )


def _settings(train: RetrainConfig, steps: int) -> list[str]:
    """Of a schedule of so many steps, in epochs of about the usual length."""
    epochs = max(1, round(steps / train.steps_per_epoch))
    return [f"train.epochs={epochs}", f"train.steps_per_epoch={round(steps / epochs)}"]


def _compare(
    folder: Path,
    export: Export,
    plan: Compression,
    before: nn.Module,
    cut: nn.Module | None,
    cache: VolumeCache,
    cases: Cases,
    note: Note,
) -> dict[str, Any]:
    """Figures by row: the original, its Dice once cut, and the compressed network."""
    made = Export(folder)
    after = made.network()
    note(f"Dice on {counted(len(cases.validation), 'validation case')}, and latency")
    if has_learnt(export, cases.validation):
        note("the original was trained on them, too: every Dice here is better than on new cases")
    if plan.method == "quantise-aware":
        return int8_figures(export, before, after, cache, cases, plan.threads)
    rows: dict[str, Any] = {}
    times = latencies((before, after), export, plan.threads)
    for one, network, time in zip((export, made), (before, after), times, strict=True):
        dice = validation_dice(network, cache, cases.validation, export)
        name = "original" if one is export else "compressed"
        rows[name] = figures(network, one.architecture, dice, time, export).to_json()
    if cut is None:
        return rows
    mean, per_class = validation_dice(cut, cache, cases.validation, export)
    unrefined = {"dice": mean, "dice_per_class": per_class}
    return {"original": rows["original"], "before fine-tuning": unrefined, **rows}
