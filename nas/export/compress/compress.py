"""From an exported network to a smaller one: an export of its own, taught by the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.cost.latency.machine import check_machine
from nas.export.choose_postprocess import renew_postprocess
from nas.export.compress.begin import Note, begin
from nas.export.compress.figures import figures, latencies, latency_config, validation_dice
from nas.export.compress.int8 import check_int8, int8_figures
from nas.export.compress.original import Original
from nas.export.compress.plan import Compression
from nas.export.compress.unfinished import ASKED, Unfinished
from nas.export.export_folder import COMPRESSION, FOLDS, TRIAL_WEIGHTS, Export
from nas.export.learnt_cases import has_learnt
from nas.export.model_card import write_card
from nas.export.retrain import EpochTold, Plan, check_plan, check_use, retrain
from nas.study.folder_lock import alone_at
from trainers.atomic import replace_files
from trainers.config import RetrainConfig
from trainers.counted import counted
from trainers.data.check import Progress
from trainers.errors import UserError
from trainers.read_json import read_json
from trainers.segmenter import best_device


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
    then. A training that was interrupted goes on from its last epoch when the same is asked again.
    """
    _check(export, plan)
    unfinished, asked = Unfinished(to), plan.asked(export)
    unfinished.check(asked)
    with alone_at(unfinished.folder):
        if unfinished.check(asked):
            note(f"{unfinished.folder} goes on from where it was interrupted")
            if unfinished.done:
                unfinished.finish()
                return Export(to).compression
        original = Original.open(export, progress)
        if plan.method == "quantise-aware":
            check_int8(original.network, export)
        if not unfinished.folder.exists():
            begin(unfinished, plan, original, note)
        with unfinished.kept():
            record = _end(unfinished, plan, original, report, note)
        unfinished.finish()
    return record


def _end(
    unfinished: Unfinished, plan: Compression, original: Original, report: EpochTold, note: Note
) -> dict[str, Any]:
    """Train what is there, compare it with the original, and write down what came of it."""
    folder = unfinished.folder
    steps = 300 if plan.steps is None and plan.method != "distil" else plan.steps
    if steps != 0:
        _train(unfinished, original.export, plan, steps, report)
    made, told = Export(folder), read_json(folder / ASKED)
    cut = made.loaded(folder / TRIAL_WEIGHTS) if told["network"] else None
    rows = _compare(made, plan, original, cut, note)
    parts = plan.parts(original.network)
    record = {
        "method": plan.method,
        **({"keep": plan.keep, "of": told["of"] or list(parts)} if parts else {}),
        "steps": steps,
        **made.compression,
        "figures": rows,
    }
    replace_files({folder / COMPRESSION: json.dumps(record, indent=1).encode()})
    write_card(folder)
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


def _train(
    unfinished: Unfinished, export: Export, plan: Compression, steps: int | None, report: EpochTold
) -> None:
    """All of it, or the rest."""
    schedule = Export(unfinished.folder).config.train
    length = [] if steps is None else _settings(schedule, steps)
    how = _fine_tuning(export, plan)
    smaller = Export(unfinished.folder, ["train.all_cases=false", *length, *plan.settings])
    if unfinished.trained:
        renew_postprocess(smaller)
        return
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
    made: Export, plan: Compression, original: Original, cut: nn.Module | None, note: Note
) -> dict[str, Any]:
    """Figures by row: the original, its Dice once cut, and the compressed network."""
    export, before, after = original.export, original.network, made.network()
    cache, cases = original.cache, original.cases
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
    mean, per_class = validation_dice(cut.to(best_device()).eval(), cache, cases.validation, export)
    unrefined = {"dice": mean, "dice_per_class": per_class}
    return {"original": rows["original"], "before fine-tuning": unrefined, **rows}
