"""Training an exported network for good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from time import perf_counter

import torch

from nas.exported import RETRAINED, RETRAINED_WEIGHTS, Export
from trainers.checkpoint import keep_weights_only
from trainers.data.check import Progress
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.segmenter import best_device
from trainers.trainer import EpochReport, Trainer


def retrain(
    export: Export,
    report: Callable[[EpochReport, int], None],
    progress: Progress | None = None,
) -> EpochReport:
    """Train the export's network from scratch on its whole schedule, and keep the weights.

    `report` is called with every epoch and the number of epochs. Interrupted, the same settings go
    on from the last epoch. Returns the last epoch's report.
    """
    config = export.config
    cache, cases = prepare_data(config.data, export.folder, progress)
    if config.train.all_cases:
        cases = Cases(train=(*cases.train, *cases.validation), validation=())
    settings = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:10]
    checkpoint = export.folder / f"retraining-{settings}.pt"
    torch.manual_seed(config.seed)
    trainer = Trainer(
        export.architecture.build(config.task.channels, len(config.task.classes)),
        cache,
        cases,
        config.train,
        device=best_device(),
        seed=config.seed,
        checkpoint=checkpoint,
    )
    started = perf_counter()
    while not trainer.done:
        last = trainer.run_epoch()
        report(last, config.train.epochs)
    keep_weights_only(checkpoint)
    checkpoint.replace(export.folder / RETRAINED_WEIGHTS)
    record = {
        "seconds": round(perf_counter() - started, 1),
        "curve": trainer.curve,
        "train": config.train.model_dump(mode="json"),
        "training": cases.train,
        "validation": cases.validation,
    }
    (export.folder / RETRAINED).write_text(json.dumps(record, indent=1))
    return last
