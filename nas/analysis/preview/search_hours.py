"""The hours of the search that a survey leads to, from candidates of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nas.analysis.preview.forecast import Forecast, forecast
from nas.analysis.preview.parallel_costs import Costs
from nas.analysis.preview.schedule import Schedule, count_validations, ends
from nas.analysis.preview.survey import Survey
from nas.analysis.preview.timing import Series, Timing, time_candidates
from nas.analysis.preview.timing_bench import Bench
from nas.config.run_config import RunConfig

CANDIDATES = 12  # timed, or one a slot where there are more slots
MANY = 1000  # trials, where hours are the budget
LEAST = 6  # of them, however long it takes
TIMING_SECONDS = 10.0  # after which no further candidate is begun


@dataclass(frozen=True)
class Timed:
    """Candidates that were trained a little, by position in the survey, and why others were not."""

    timings: Mapping[int, Timing]
    failures: Mapping[int, str]

    @property
    def pass_seconds(self) -> float:
        """About what a pass of one patch takes, in the mean."""
        return sum(timing.window for timing in self.timings.values()) / len(self.timings)


def pool(config: RunConfig, survey: Survey) -> list[int]:
    """What the search may train, as far as every cost that may predict its seconds is known."""
    return [i for i in survey.within(config.budget) if "memory" in survey.costs[i]]


def time_some(
    config: RunConfig,
    survey: Survey,
    bench: Bench,
    slots: int,
    progress: Callable[[int, int, str], None],
) -> Timed:
    """Train a few of the pool a little, in as many processes as the search would."""
    spread = survey.spread(pool(config, survey), max(CANDIDATES, slots))
    places = [*spread[::2], *spread[1::2]]  # the first ones alone reach from small to large
    series = Series(
        bench,
        tuple(survey.draw.points[i] for i in places),
        max(LEAST, slots),
        TIMING_SECONDS,
        config.resources.cpus,
        bool(config.resources.gpus),
    )
    timings, failures = time_candidates(series, slots, progress)
    return Timed(
        {places[i]: timing for i, timing in timings.items()},
        {places[i]: why for i, why in failures.items()},
    )


def make_schedule(
    config: RunConfig, bench: Bench, slots: int, most: int | None, pass_seconds: float
) -> Schedule:
    """What the search does; `most`: architectures that there are for it, where so few."""
    train = config.train
    stops = ends(config.search.early_stopping, train)
    trials = _trials(config, stops)
    return Schedule(
        trials=trials if most is None else min(trials, most),
        slots=slots,
        epochs=train.epochs,
        steps=train.steps_per_epoch,
        validations=count_validations(train),
        windows=bench.windows(),
        pause=_pause(config, pass_seconds),
        hours=config.search.hours,
        ends=stops,
    )


def _trials(config: RunConfig, stops: Sequence[tuple[float, float]]) -> int:
    """As many as the search's budget pays for, in the mean."""
    search = config.search
    if search.budget == "trials":
        return search.trials
    if search.budget == "hours":
        return MANY
    mean = sum(share * probability for share, probability in stops)
    return round(config.search.all_epochs(config.train.epochs) / (mean * config.train.epochs))


def _pause(config: RunConfig, pass_seconds: float) -> float:
    """Seconds a trial for which no slot trains: its latency is measured in two runs."""
    latency = config.latency
    if not config.needs_latency or latency.resources:
        return 0.0
    return 2 * min((latency.warmup + latency.repeats) * pass_seconds, latency.seconds)


def foretell(
    config: RunConfig,
    survey: Survey,
    timed: Timed,
    first: Sequence[Costs],
    schedule: Schedule,
    seed: int,
) -> Forecast:
    """The hours, where the search trains the `first` and then what is drawn at random."""
    measured = [(survey.costs[i], timing) for i, timing in sorted(timed.timings.items())]
    others = [survey.costs[i] for i in pool(config, survey)]
    return forecast(measured, first, others, schedule, seed)
