"""The whole of a preview: draw, count, measure what was asked for, and put it together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.analysis.preview.budget_share import BudgetShare, budget_share
from nas.analysis.preview.forecast_hours import (
    Forecast,
    Schedule,
    count_validations,
    early_ends,
    forecast_hours,
    pause_seconds,
)
from nas.analysis.preview.known_networks import KnownNetwork, known_networks
from nas.analysis.preview.latencies import Latencies, measure_latencies, measured_here
from nas.analysis.preview.parallel import parallel_map, preloaded
from nas.analysis.preview.sample_space import draw_points
from nas.analysis.preview.side_by_side import SideBySide, measure_side_by_side
from nas.analysis.preview.survey import Costs, Survey, all_costs, take_survey
from nas.analysis.preview.time_candidates import Timing, Workload, time_candidates
from nas.config.data_space import space_for
from nas.config.run_config import RunConfig
from nas.engine.slots import count_slots, this_machine
from nas.export.shared_weights import shareable
from nas.pareto.budget import Budget
from nas.study.baselines import BaselineSizes
from nas.study.knob_importance import Importance, knob_importances
from nas.study.samplers.warm_start import warm_starts
from nas.study.training_cost import TrainingCosts
from search_spaces.space import to_params
from trainers.data.build_cache import prepared_voxel_size
from trainers.data.cache import VolumeCache
from trainers.data.check.facts import Progress
from trainers.data.open_source import open_source
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases
from trainers.volumes.geometry import Spacing3
from trainers.volumes.targets import Targets

CANDIDATES = 12  # that are timed, in whole rounds of the slots
LEAST = 6  # of them, however long it takes
TIMING_SECONDS = 10.0  # after which no further candidate is begun
MANY = 10**6  # trials, where hours are the budget: more than there is time for


@dataclass(frozen=True)
class Request:
    """What to look at. `latency`: how many architectures to measure."""

    samples: int = 1000
    seed: int = 0
    latency: int = 0
    hours: bool = True


@dataclass(frozen=True)
class Preview:
    """What was seen of the run `name`.

    `latencies`: by their names, one on each device here. `timings`: of the candidates that were
    trained a little, by position in the survey, or why one could not be. `side_by_side`: how trials
    share a GPU, where they train on one. `supernet`: whether candidates share weights, which the
    hours leave out.
    """

    name: str
    space: str
    seed: int
    counting: TrainingCosts
    survey: Survey
    allowed: BudgetShare
    importances: Sequence[Importance]
    known: Sequence[KnownNetwork]
    latencies: Mapping[str, Latencies]
    timings: Mapping[int, Timing | str]
    forecast: Forecast | None
    side_by_side: SideBySide | None = None
    supernet: bool = False

    @property
    def budget(self) -> Budget:
        """The limits on costs."""
        return self.counting.budget


def make_preview(
    config: RunConfig, directory: Path, request: Request, progress: Progress
) -> Preview:
    """Look at the networks of a run, and train none to the end.

    `directory`: the search's, which finds the prepared data there. Raises UserError for data or
    settings that cannot work.
    """
    timed = measured_here(config.latency) if request.latency else {}
    if request.hours:
        preloaded()  # imports while the data are prepared
        count_slots(config.resources)  # refuses what no machine has, before it takes any time
    channels, targets, voxel_size, data = _data(config, directory, request.hours, progress)
    within = space_for(config.space, voxel_size, config.train.patch, targets.outputs)
    if shares := config.search.strategy == "supernet":
        within = shareable(within)
    budget = config.budget
    space, restrict = within.space, within.restrict
    task = channels, targets.outputs, targets
    counting = TrainingCosts(config.train, config.resources, budget, *task)
    draw = draw_points(space, restrict, request.samples, request.seed)
    first = []
    with parallel_map(len(draw.points), progress) as parallel:
        survey = take_survey(draw, counting, parallel)
        known = known_networks(space, restrict, counting, parallel)
        if data:
            starts = warm_starts(config.search, within, counting)
            costs = all_costs([start.architecture for start in starts], counting, parallel)
            first = [one for one in costs if one and not budget.excess(one)]
    latencies: dict[str, Latencies] = {}
    if places := survey.spread(survey.within(budget), request.latency):
        points = survey.draw.points
        for name, how in timed.items():
            found = measure_latencies(how, counting, points, places, config.seed, progress)
            latencies[name] = found
        for name, found in latencies.items():
            survey = survey.with_latencies(name, found.found)
    timings: Mapping[int, Timing | str] = {}
    forecast, side_by_side = None, None
    if data:
        means = [each.mean_seconds for each in latencies.values() if each.found]
        mean_pass = sum(means) if means else None
        sizes = BaselineSizes(config.search.baselines, space, counting)
        timings, forecast = _hours(
            config, survey, data, first, sizes, mean_pass, request.seed, progress
        )
        side_by_side = _side_by_side(config, survey, data, progress)
    return Preview(
        config.name,
        space.name,
        request.seed,
        counting,
        survey,
        budget_share(survey, budget),
        cost_importances(survey),
        known,
        latencies,
        timings,
        forecast,
        side_by_side,
        shares,
    )


def _data(
    config: RunConfig, directory: Path, prepared: bool, progress: Progress
) -> tuple[int, Targets, Spacing3 | None, tuple[VolumeCache, Cases] | None]:
    """Channels, targets, voxel size in mm, and the prepared data where they are needed."""
    if not prepared:
        source = open_source(config.data, directory)
        voxel_size = prepared_voxel_size(source, config.data.preprocess)
        return len(source.modalities), source.targets, voxel_size, None
    cache, cases = prepare_data(config.data, directory, progress)
    return cache.channels, cache.targets, cache.prepared_voxel_size, (cache, cases)


def cost_importances(survey: Survey) -> list[Importance]:
    """Which knobs make a network cheap, cost by cost."""
    values = {}
    for name in ("params", "macs", "memory"):
        sample = set(survey.sample(name))
        costs = enumerate(survey.costs)
        values[name] = [one[name] if i in sample else math.nan for i, one in costs]
    return knob_importances([to_params(point) for point in survey.draw.points], values)


def _hours(
    config: RunConfig,
    survey: Survey,
    data: tuple[VolumeCache, Cases],
    first: Sequence[Costs],
    baselines: BaselineSizes,
    pass_seconds: float | None,
    seed: int,
    progress: Progress,
) -> tuple[dict[int, Timing | str], Forecast | None]:
    """Train a few candidates a little, from small to large, and forecast from them.

    Only those are taken whose every cost is known that may predict their seconds. `pass_seconds`:
    of a pass of one patch, where latencies were measured.
    """
    slots = count_slots(config.resources)
    pool = [i for i in survey.within(config.budget) if "memory" in survey.costs[i]]
    spread = survey.spread(pool, -(-CANDIDATES // slots) * slots)
    places = [*spread[::2], *spread[1::2]]  # the first ones alone reach from small to large
    workload = _workload(config, data)
    candidates = [survey.draw.points[i] for i in places]
    least = max(LEAST, slots)
    found = time_candidates(candidates, workload, slots, least, TIMING_SECONDS, progress)
    timings = {places[position]: outcome for position, outcome in found.items()}
    timed = [(survey.costs[i], t) for i, t in timings.items() if isinstance(t, Timing)]
    if not timed:
        return timings, None
    pass_seconds = pass_seconds or sum(timing.window for _, timing in timed) / len(timed)
    schedule = _schedule(config, slots, workload.windows, pass_seconds)
    if survey.draw.exhausted:
        trials = min(schedule.trials, len(survey.within(config.budget)))
        schedule = replace(schedule, trials=trials)
    others = [survey.costs[i] for i in pool]
    beside = baselines.expected([*first, *others], len(first))
    forecast = forecast_hours(timed, first, others, schedule, seed, beside)
    return timings, forecast.spending_hours() if config.search.budget == "hours" else forecast


def _workload(config: RunConfig, data: tuple[VolumeCache, Cases]) -> Workload:
    resources = config.resources
    cpus, gpu, nice = resources.cpus, bool(resources.gpus), resources.niceness
    return Workload(*data, config.train, config.seed, cpus, gpu, nice)


def _side_by_side(
    config: RunConfig, survey: Survey, data: tuple[VolumeCache, Cases], progress: Progress
) -> SideBySide | None:
    """How many trials should share a GPU, by a candidate in the middle; None without GPUs."""
    middle = survey.spread(survey.within(config.budget), 1)
    if not config.resources.gpus or not middle:
        return None
    here, without = this_machine(), config.resources.model_copy(update={"gpus": 0})
    most = max(1, here.room(without) // max(1, int(here.resources["GPU"])))
    candidate = survey.draw.points[middle[0]]
    return measure_side_by_side(candidate, _workload(config, data), most, progress)


def _schedule(config: RunConfig, slots: int, windows: int, pass_seconds: float) -> Schedule:
    """What the search does, as far as its configuration says."""
    search, train, latency = config.search, config.train, config.latency
    measured = config.needs_latency and latency.here
    schedule = Schedule(
        trials=search.trials,
        slots=slots,
        epochs=train.epochs,
        steps=train.steps_per_epoch,
        validations=count_validations(train),
        windows=windows,
        pause=pause_seconds(latency, pass_seconds) if measured else 0.0,
        hours=search.hours,
        ends=early_ends(search.early_stopping, train),
    )
    if search.budget == "hours":
        return replace(schedule, trials=MANY)
    if search.budget == "epochs":
        whole = search.all_epochs(train.epochs) / (schedule.mean_end * train.epochs)
        return replace(schedule, trials=round(whole))
    return schedule
