"""The preview in sentences, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.preview.budget_share import LimitShare, explain_nothing_within
from nas.analysis.preview.forecast_hours import COVERS, Forecast
from nas.analysis.preview.make_preview import Preview
from nas.analysis.preview.side_by_side import GAIN, SideBySide, mps_is_running
from nas.pareto.objectives import in_digits, is_latency, objective
from nas.report.terminal_tables import clock

HOW_TO_READ_KNOBS = (
    "How far the options of the cheapest quarter of the architectures differ from those of all "
    "(PED-ANOVA), as shares of all knobs; a knob that is not always asked for, among the "
    "architectures that have it. Grey bars are no longer than chance makes them."
)
HOW_TO_READ_MARKS = (
    "Diamonds are the presets of the space, circles plain well-known networks, by their numbers in "
    "the table, hollow where they are over the budget. Blue is within the budget, grey is over one "
    "of its limits, and the dashed line is a limit."
)


def sample_text(preview: Preview) -> str:
    """How many architectures, of what, at which size."""
    survey, counting = preview.survey, preview.counting
    patch = "x".join(map(str, counting.train.patch))
    text = (
        f"{len(survey.draw.points):,} distinct architectures of {preview.space}, drawn at random "
        f"(seed {preview.seed}), for patches of {counting.channels}x{patch} and {counting.classes} "
        f"classes; memory of a training step of {counting.train.batch} patches for the first "
        f"{len(survey.values('memory')):,}."
    )
    if survey.draw.exhausted:
        text += " The space seems to hold no more."
    if survey.broken:
        reason = next(iter(survey.broken.values()))
        text += f" {len(survey.broken)} cannot be trained, the first: {reason}."
    return text


def budget_text(preview: Preview) -> str:
    """What the budget lets through."""
    limits = preview.budget.limits()
    if not limits:
        return "There is no budget: every architecture may be trained."
    if preview.allowed.share == 0:
        return explain_nothing_within(preview.allowed, preview.survey)
    unknown = sorted(set(limits) - {limit.name for limit in preview.allowed.limits})
    text = f"The budget lets {percent(preview.allowed.share)} of them through"
    if unknown:
        timed = not preview.latencies and any(map(is_latency, unknown))
        flags = " (see --latency)" if timed else ""
        text += f", {', '.join(unknown)} aside, which was not measured{flags}"
    return text + "."


def latency_texts(preview: Preview) -> Iterator[str]:
    """Which latencies were measured, and how."""
    for name, latencies in preview.latencies.items():
        found, failures = latencies.found, latencies.failures
        yield (
            f"{objective(name).title} of {len(found)} architectures within the rest "
            f"of the budget, from few MACs to many: {latencies.conditions.text()}."
        )
        if failures:
            reason = next(iter(failures.values()))
            yield f"{len(failures)} could not be measured, the first: {reason}"


def hours_texts(preview: Preview) -> Iterator[str]:
    """The hours of the search, how they came about, and what they leave out."""
    failures = [outcome for outcome in preview.timings.values() if isinstance(outcome, str)]
    if failures:
        yield f"{len(failures)} candidates could not be trained, the first: {failures[0]}"
    forecast = preview.forecast
    if forecast is None:
        if preview.timings:
            yield "No candidate could be trained, so there is no estimate of the search's hours."
        return
    schedule, line = forecast.schedule, forecast.line
    yield (
        f"The search takes about {hours_text(forecast.hours)} ({hours_text(forecast.low)} to "
        f"{hours_text(forecast.high)} in {COVERS:.0%} of the searches simulated): "
        f"{trials_text(forecast)}, {schedule.slots} side by side, "
        f"{clock(forecast.trial_seconds)} each in the mean."
    )
    if schedule.mean_end < 1:
        yield (
            f"Early stopping leaves a trial {schedule.mean_end:.0%} of its epochs in the mean, if "
            "Dice and costs were independent."
        )
    if forecast.cut_short:
        yield (
            f"No trial starts after search.hours = {schedule.hours:g}: allow more, or fewer epochs."
        )
    yield (
        f"From training steps and validations of {len(preview.timings) - len(failures)} candidates "
        f"from small to large, {schedule.slots} at a time: the seconds of a trial grow with its "
        f"{objective(line.cost).phrase}, give or take {line.error:.0%}. It takes the search to "
        "train what is drawn at random; a sampler that comes to prefer small or large networks "
        "changes that."
    )
    if preview.supernet:
        yield (
            "search.strategy is supernet: the hours are those of candidates that train whole, "
            "without the training of the supernet and the scores, and without what fine-tuning "
            "saves."
        )


def side_by_side_texts(found: SideBySide | None) -> Iterator[str]:
    """How many trials a GPU should have, and whether they compute there at the same time."""
    if found is None:
        return
    if found.rates:
        rates = ", ".join(f"{count}: {rate:.3g}" for count, rate in found.rates.items())
        yield (
            f"Training steps a second of trials on one GPU, all together, by how many there are: "
            f"{rates}. Best is resources.gpus = {found.gpus:g}: twice as many trials would not be "
            f"{GAIN - 1:.0%} faster together. What they need must fit its memory together: see "
            "budget.memory."
        )
    if found.failure:
        yield f"More of them fail: {found.failure}"
    yield (
        "NVIDIA's Multi-Process Service is running: trials compute on the GPU at the same time."
        if mps_is_running()
        else "NVIDIA's Multi-Process Service is not running: trials take turns on the GPU. "
        "Start it with nvidia-cuda-mps-control -d, and preview again."
    )


def percent(share: float) -> str:
    """`42%`, and small shares in more digits: `0.3%`."""
    return f"{share:.0%}" if share >= 0.095 else f"{100 * share:.2g}%"


def trials_text(forecast: Forecast) -> str:
    """`26 trials`, or `6 of 26 trials` where the time does not suffice."""
    wanted = forecast.schedule.trials
    return f"{forecast.trials} of {wanted} trials" if forecast.cut_short else f"{wanted} trials"


def limit_text(limit: LimitShare) -> str:
    """`500 k parameters`, `8 GiB of memory`, `40 ms of latency`."""
    of = "" if limit.name in ("params", "macs") else "of "
    return f"{objective(limit.name).short(limit.limit)} {of}{objective(limit.name).phrase}"


def hours_text(hours: float) -> str:
    """`2.5 h`, `14 min`, `50 s`."""
    if hours >= 1:
        return f"{in_digits(hours, 3)} h"
    minutes = 60 * hours
    return f"{minutes:.0f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"
