"""The whole of a preview: draw, count, measure what was asked for, and put it together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nas.analysis.preview.budget_share import Allowance, allowance
from nas.analysis.preview.forecast import Forecast
from nas.analysis.preview.latencies import Latencies, check_latency, measure_latencies
from nas.analysis.preview.parallel_costs import Costs, Counter, Setting, counter
from nas.analysis.preview.processes import server
from nas.analysis.preview.references import Reference, reference_costs, references
from nas.analysis.preview.sample_space import draw_points
from nas.analysis.preview.search_hours import Timed, foretell, make_schedule, pool, time_some
from nas.analysis.preview.survey import Survey, take_survey
from nas.analysis.preview.timing_bench import Bench
from nas.analysis.preview.variance import Driver, drivers
from nas.config.run_config import RunConfig
from nas.study.samplers.warm_start import fit_warm_starts, place_warm_starts
from nas.study.training_cost import TrainingCosts
from search_spaces.space import to_params
from trainers.data.cache import VolumeCache
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Request:
    """What to look at. `latency`: how many architectures to measure."""

    samples: int = 1000
    seed: int = 0
    latency: int = 0
    hours: bool = True


@dataclass(frozen=True)
class Preview:
    """What was seen of a run. `drivers`: by the cost that they drive."""

    config: RunConfig
    request: Request
    setting: Setting
    survey: Survey
    allowed: Allowance
    drivers: Mapping[str, Sequence[Driver]]
    references: Sequence[Reference]
    latencies: Latencies | None
    timed: Timed | None
    forecast: Forecast | None


def make_preview(
    config: RunConfig, directory: Path, request: Request, progress: Progress
) -> Preview:
    """Look at the networks of a run, and train none.

    `directory`: the search's, which finds the prepared data there. Raises UserError for data or
    settings that cannot work.
    """
    if request.latency:
        check_latency(config)
    if request.hours:
        server()  # imports while the data are prepared
    slots = _slots(config) if request.hours else 0
    channels, classes, data = _data(config, directory, request.hours, progress)
    setting = Setting.of(config, channels, classes)
    draw = draw_points(config, request.samples, request.seed)
    with counter(len(draw.points), progress) as count:
        survey = take_survey(draw, config.budget, setting, count)
        named = references(config, setting, count)
        first = _first(config, setting, count) if request.hours else []
    latencies = _latencies(config, setting, survey, request.latency, progress)
    if latencies:
        survey = survey.with_latencies(latencies.found)
    allowed = allowance(survey, config.budget)
    timed = foretold = None
    if data and pool(config, survey):
        with TemporaryDirectory(prefix="preview-", dir=directory) as scratch:
            bench = Bench(*data, config.train, config.seed, Path(scratch))
            timed = time_some(config, survey, bench, slots, progress)
        if timed.timings:
            each = latencies.mean_seconds if latencies and latencies.found else timed.pass_seconds
            most = len(survey.within(config.budget)) if draw.exhausted else None
            schedule = make_schedule(config, bench, slots, most, each)
            foretold = foretell(config, survey, timed, first, schedule, request.seed)
    return Preview(
        config,
        request,
        setting,
        survey,
        allowed,
        {name: _drivers(survey, name) for name in ("params", "macs", "memory")},
        named,
        latencies,
        timed,
        foretold,
    )


def _slots(config: RunConfig) -> int:
    from nas.engine.slots import count_slots

    return count_slots(config.resources)


def _data(
    config: RunConfig, directory: Path, prepared: bool, progress: Progress
) -> tuple[int, int, tuple[VolumeCache, Cases] | None]:
    """Channels and classes, and the prepared data where they are needed."""
    if not prepared:
        source = config.data.open(directory)
        return len(source.modalities), len(source.classes), None
    cache, cases = prepare_data(config.data, directory, progress)
    return cache.channels, len(cache.classes), (cache, cases)


def _first(config: RunConfig, setting: Setting, count: Counter) -> list[Costs]:
    """The costs of the warm start, which the search trains before all others."""
    space, restrict = config.space.space(), config.space.restrict
    named = config.search.warm_start
    placed = place_warm_starts(named, space, restrict, config.train.patch)
    task = config.train, config.resources, config.budget, setting.channels, setting.classes
    starts = fit_warm_starts(placed, TrainingCosts(*task), restrict)
    costs = reference_costs(setting, [start.architecture for start in starts], count)
    return [one for one in costs if one and not config.budget.excess(one)]


def _drivers(survey: Survey, name: str) -> list[Driver]:
    last = survey.leading.get(name, len(survey.costs))
    seen = [i for i in range(last) if name in survey.costs[i]]
    answers = [to_params(survey.draw.points[i]) for i in seen]
    return drivers(answers, [math.log(survey.costs[i][name]) for i in seen])


def _latencies(
    config: RunConfig, setting: Setting, survey: Survey, count: int, progress: Progress
) -> Latencies | None:
    places = survey.spread(survey.within(config.budget), count)
    if not places:
        return None
    points = [survey.draw.points[i] for i in places]
    measured = measure_latencies(config, setting, points, progress)
    return Latencies(
        {places[i]: value for i, value in measured.found.items()},
        {places[i]: why for i, why in measured.failures.items()},
        measured.conditions,
    )
