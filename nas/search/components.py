"""The parts of a search, each made from its own piece of the configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from nas.config.data_space import DataSpace, space_for
from nas.config.run_config import RunConfig
from nas.cost.devices.prober import DevicesProber
from nas.cost.latency_probe import Prober, ProbeTask
from nas.engine.evaluator import Evaluator
from nas.engine.make_evaluator import TRAINING, make_evaluator
from nas.engine.open_prober import open_devices
from nas.engine.open_prober import open_prober as open_any
from nas.engine.trial_worker import WorkerSettings
from nas.export.export_folder import ExportConfig
from nas.export.shared_weights import CHECKPOINT, FOLDER, SharedWeights, shareable
from nas.search.affordable_sizes import affordable_sizes
from nas.study.resume_check import EVALUATOR, FILES, MEMORY_DEVICE, MEMORY_THREADS, PRECISION
from nas.study.scores import Scores
from nas.study.study_settings import StudySettings
from nas.study.training_cost import TrainingCosts
from search_spaces.axes import Axes
from trainers.config import EXECUTION_KEYS, REFINEMENT_KEYS
from trainers.data.cache import VolumeCache
from trainers.data.source import SourceConfig
from trainers.data.splits import Cases
from trainers.data.task import Task


def data_space(config: RunConfig, cache: VolumeCache) -> DataSpace:
    """The space of a search on its data; where its networks share weights, of those that can.

    Raises UserError where nothing is left.
    """
    classes, patch = cache.targets.outputs, config.train.patch
    within = space_for(config.space, cache.prepared_voxel_size, patch, classes)
    return shareable(within) if config.search.strategy == "supernet" else within


def shared_weights(
    config: RunConfig, within: DataSpace, costs: TrainingCosts, directory: Path
) -> SharedWeights | None:
    """Those of the search's candidates, where they have any."""
    if config.search.strategy == "train":
        return None
    file = directory / FOLDER / CHECKPOINT
    sizes = affordable_sizes(within, costs)
    task = costs.channels, costs.classes
    return SharedWeights(within.space, within.restrict, *task, file, sizes)


def study_settings(
    config: RunConfig, within: DataSpace, scores: Scores | None = None
) -> StudySettings:
    """What the study of a search needs of its configuration, and of the space on its data."""
    config = config.of_candidates()
    return StudySettings(
        space=within.space,
        restrict=within.restrict,
        objectives=config.objectives,
        budget=config.budget,
        epochs=config.train.epochs,
        search=config.search,
        prior={**within.prior, **config.search.prior},
        seed=config.seed,
        scores=scores,
    )


def export_settings(config: RunConfig, task: Task) -> ExportConfig:
    """What an exported network needs of the search's configuration."""
    split = config.data.split
    return ExportConfig(
        name=config.name,
        seed=config.seed,
        task=task,
        data=config.data,
        groups=None if isinstance(split, Path) else split.groups,
        train=config.retrain,
    )


def training_costs(config: RunConfig, cache: VolumeCache) -> TrainingCosts:
    """What counts the costs of candidates."""
    of_run, targets = (config.train, config.resources, config.budget), cache.targets
    return TrainingCosts(*of_run, cache.channels, targets.outputs, targets)


def evaluator(config: RunConfig, shared: SharedWeights | None = None) -> Evaluator:
    """How candidates get their Dice. Raises UserError for one that is not known."""
    return reseeded_evaluator(config, shared)(config.seed)


def reseeded_evaluator(
    config: RunConfig, shared: SharedWeights | None = None
) -> Callable[[int], Evaluator]:
    """What makes the same with another seed; light to pickle. Raises UserError when called."""
    search = config.search
    if shared and search.inherits:
        from nas.engine.fine_tune import FineTune

        return partial(
            FineTune,
            config.of_candidates().train,
            device=config.resources.device,
            on_memory=search.on_memory,
            shared=shared,
            whole=config.train,
        )
    named = _named(search.evaluator)
    if named.get("name") == TRAINING:
        named = {"on_memory": search.on_memory, **named}
    return partial(make_evaluator, named, config.train, device=config.resources.device)


def _named(evaluator: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"name": evaluator} if isinstance(evaluator, str) else evaluator


def worker_settings(
    config: RunConfig,
    directory: Path,
    cache: VolumeCache,
    lock_name: str,
    shared: SharedWeights | None = None,
) -> WorkerSettings:
    """What the workers share."""
    return WorkerSettings(
        directory=directory,
        volumes=cache.folder,
        machine_lock=lock_name,
        evaluator=evaluator(config, shared),
        reseeded=reseeded_evaluator(config, shared),
        stall_minutes=config.search.stall_minutes,
        threads=config.resources.cpus,
        gpu=config.resources.device == "cuda",
    )


def open_prober(
    config: RunConfig, cache: VolumeCache, machine_lock: str
) -> Prober | DevicesProber | None:
    """Who measures latencies, where the search wants any."""
    if not config.needs_latency:
        return None
    latency = config.latency
    task = ProbeTask(
        channels=cache.channels,
        classes=cache.targets.outputs,
        latency=latency.model_copy(update={"patch": latency.patch or config.train.patch}),
        device=config.resources.device,
        seed=config.seed,
        machine_lock=machine_lock,
    )
    return open_devices(task) if latency.devices else open_any(task)


def fixed_settings(
    config: RunConfig,
    cache: VolumeCache,
    cases: Cases,
    prober: Prober | DevicesProber | None,
    axes: Axes,
    files: str,
) -> dict[str, Any]:
    """What results of one study have in common: other values would make them incomparable.

    `files`: the fingerprint of the data; see `files_of_search`.
    """
    whole = config.model_dump(mode="json", exclude={"train": EXECUTION_KEYS})
    latency = {"latency": prober.conditions().to_json()} if prober else {}
    # Told only where they have an effect: before there was the key all networks were isotropic, and
    # all were trained without refinements.
    whole["space"].pop("axes", None)
    whole["train"] = {k: v for k, v in whole["train"].items() if v or k not in REFINEMENT_KEYS}
    told: dict[str, Any] = {"space.axes": {"starts": axes.starts}} if any(axes.starts) else {}
    told[EVALUATOR] = _named(config.search.evaluator)
    told[PRECISION] = config.train.precision_on(config.resources.device)
    if "memory" in (*config.objectives, *config.budget.limits()):
        told[MEMORY_DEVICE] = config.resources.device
        if config.resources.device == "cpu":
            told[MEMORY_THREADS] = config.resources.cpus
    if config.search.strategy == "supernet":
        more = {"candidates", "scoring"}  # of which a search may have as many as it likes
        told["search.supernet"] = config.search.supernet.model_dump(mode="json", exclude=more)
    return {
        **{name: whole[name] for name in ("seed", "space", "train", "budget")},
        "data": data_settings(config.data, cache, cases),
        FILES: files,
        **latency,
        **told,
    }


def data_settings(data: SourceConfig, cache: VolumeCache, cases: Cases) -> dict[str, Any]:
    """The same of its data alone."""
    return {
        "preprocess": data.preprocess.model_dump(mode="json"),
        "classes": cache.classes,
        "split": json.loads(cases.to_json()),
        **({} if cache.targets.plain else asdict(cache.targets)),
    }
