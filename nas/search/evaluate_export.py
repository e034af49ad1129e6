"""An exported network, evaluated with its own weights as a search evaluates its candidates."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from nas.config.run_config import RunConfig
from nas.cost.devices import DeviceLatencies
from nas.cost.devices.prober import DevicesProber
from nas.cost.failure import Failure, Waiting
from nas.cost.latency_probe import Prober, Trained
from nas.export.export_folder import Export
from nas.pareto.result import Result, known
from nas.search.components import training_costs
from nas.search.opening import Place
from nas.search.remeasure_front import wait_for
from nas.search.trained_networks import trained_networks
from nas.study.candidate import Candidate
from nas.study.kept_share import at_kept_share
from trainers.errors import TrainingDivergedError, UserError
from trainers.offers import pop_network_metrics
from trainers.precision import autocast
from trainers.validation import score_network


def evaluate_export(
    export: Export, candidate: Candidate, config: RunConfig, directory: Path, place: Place
) -> Result:
    """Its Dice on the search's validation cases, its costs, and where the search in `directory` has
    any its latency. Raises UserError where one of them cannot be told."""
    costs = training_costs(config, place.cache)
    candidate = replace(candidate, costs=costs(candidate.architecture))
    dice, per_class, measured = _scores(export, config, place)
    result = candidate.result(
        state="complete",
        dice=dice,
        dice_per_class=per_class,
        measured=measured,
        epochs=export.retrained.get("epochs", 0),
        train_seconds=export.retrained.get("seconds", 0.0),
    )
    result = at_kept_share(result, costs)
    if place.prober:
        return _timed(export, result, config, directory, place, place.prober)
    return result


def _scores(
    export: Export, config: RunConfig, place: Place
) -> tuple[float, dict[str, float | None], dict[str, float]]:
    """Its Dice, that of each class, and what it tells of itself, as in a trial's validation."""
    train, device = config.of_candidates().train, config.resources.device
    network = export.loaded(export.weights).to(device)
    compute = partial(autocast, train, torch.device(device))
    try:
        dice, classes = score_network(network, place.cache, place.cases.validation, train, compute)
    except TrainingDivergedError as error:
        raise UserError(f"{export.folder}: {error}") from error
    if math.isnan(dice):
        raise UserError(f"{export.folder}: its Dice is no number: no case has any of the classes")
    each = {name: known(value) for name, value in classes.items()}
    return dice, each, pop_network_metrics(network)


def _timed(
    export: Export,
    result: Result,
    config: RunConfig,
    directory: Path,
    place: Place,
    prober: Prober | DevicesProber,
) -> Result:
    """With its latency, on windows of validation cases, as members have it in the end."""
    with trained_networks(directory, config, place.cache, place.cases.validation) as networks:
        windows = networks.of([result]).windows
        prober.submit([export.architecture], Trained([export.weights], windows))
        [latency] = wait_for(prober)
    if isinstance(latency, Failure):
        raise UserError(f"{export.folder}: {latency.reason}")
    if isinstance(latency, Waiting):
        raise UserError(f"{export.folder} has no latency yet: {latency.reason}")
    if isinstance(latency, DeviceLatencies):
        if latency.waiting:
            told = "; ".join(f"{name}: {reason}" for name, reason in latency.waiting.items())
            raise UserError(f"{export.folder} joins once every device has timed it; {told}")
        return result.measured_on(latency.to_json())
    costs = {**result.costs, "latency_ms": latency.p50_ms}
    device = latency.conditions.device
    return replace(result, costs=costs, device=device, latency=latency.to_json())
