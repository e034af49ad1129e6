"""The preview in sentences, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.preview.budget_share import LimitShare, blame
from nas.analysis.preview.forecast import COVERS, Forecast
from nas.analysis.preview.make_preview import Preview
from nas.pareto.objectives import objective
from nas.report.terminal_tables import clock


def drawn(preview: Preview) -> str:
    """How many architectures, of what, at which size."""
    survey, config = preview.survey, preview.config
    patch = "x".join(map(str, config.train.patch))
    text = (
        f"{len(survey.draw.points):,} distinct architectures of {config.space.name}, drawn at "
        f"random (seed {preview.request.seed}), for patches of {preview.setting.channels}x{patch} "
        f"and {preview.setting.classes} classes; memory of a training step of "
        f"{config.train.batch} patches for the first {len(survey.values('memory')):,}."
    )
    if survey.draw.exhausted:
        text += " The space seems to hold no more."
    if survey.draw.unfit:
        share = survey.draw.unfit / survey.draw.draws
        text += (
            f" {share:.0%} of the draws have a stride that does not divide the patch and are left "
            "out; a search needs them restricted away."
        )
    if survey.broken:
        reason = next(iter(survey.broken.values()))
        text += f" {len(survey.broken)} cannot be trained, the first: {reason}."
    return text


def passing(preview: Preview) -> str:
    """What the budget lets through."""
    limits = preview.config.budget.limits()
    if not limits:
        return "There is no budget: every architecture may be trained."
    if preview.allowed.share == 0:
        return blame(preview.allowed, preview.survey)
    unknown = sorted(set(limits) - {limit.name for limit in preview.allowed.limits})
    text = f"The budget lets {percent(preview.allowed.share)} of them through"
    if unknown:
        flags = " (see --latency)" if "latency_ms" in unknown else ""
        text += f", {', '.join(unknown)} aside, which was not measured{flags}"
    return text + "."


def measured(preview: Preview) -> Iterator[str]:
    """Which latencies were measured, and how."""
    if preview.latencies is None:
        return
    found, failures = preview.latencies.found, preview.latencies.failures
    yield (
        f"Latency of {len(found)} architectures within the rest of the budget, from few MACs to "
        f"many: {preview.latencies.conditions.text()}."
    )
    if failures:
        reason = next(iter(failures.values()))
        yield f"{len(failures)} could not be measured, the first: {reason}"


def driving(preview: Preview) -> str:
    """How to read the shares of the knobs."""
    totals = ", ".join(
        f"{sum(driver.values for driver in found):.0%} of {objective(name).phrase}"
        for name, found in preview.drivers.items()
    )
    return (
        "First-order (Sobol', fANOVA) shares of the variance of the log of a cost: what the knob "
        "explains alone. A knob that others can silence also tells by whether it is asked for at "
        f"all; that is theirs, drawn lighter and not added. One by one the knobs "
        f"explain {totals}; what is missing are interactions."
    )


def lasting(preview: Preview) -> Iterator[str]:
    """The hours of the search, how they came about, and what they leave out."""
    foretold, timed = preview.forecast, preview.timed
    if timed is None:
        return
    if timed.failures:
        reason = next(iter(timed.failures.values()))
        yield f"{len(timed.failures)} candidates could not be trained, the first: {reason}"
    if foretold is None:
        yield "No candidate could be trained, so there is no estimate of the search's hours."
        return
    schedule = foretold.schedule
    yield (
        f"The search takes about {time_text(foretold.hours)} ({time_text(foretold.low)} to "
        f"{time_text(foretold.high)} in {COVERS:.0%} of the searches played through): "
        f"{trials_text(foretold)}, {schedule.slots} side by side, "
        f"{clock(foretold.trial_seconds)} each in the mean."
    )
    if schedule.mean_end < 1:
        yield (
            f"Early stopping leaves a trial {schedule.mean_end:.0%} of its epochs in the mean, if "
            "Dice and costs were independent."
        )
    if foretold.cut_short:
        yield (
            f"No trial starts after search.hours = {schedule.hours:g}: allow more, or fewer epochs."
        )
    yield (
        f"From training steps and validations of {len(timed.timings)} candidates, small to large, "
        f"{schedule.slots} at a time: seconds of a step {_model(foretold, 'step')}; of a window of "
        f"the validation {_model(foretold, 'window')}. It takes the search to train what is drawn "
        "at random; a sampler that comes to prefer small or large networks changes that."
    )


def percent(share: float) -> str:
    """`42%`, and small shares in more digits: `0.3%`."""
    return f"{share:.0%}" if share >= 0.095 else f"{100 * share:.2g}%"


def trials_text(foretold: Forecast) -> str:
    """`26 trials`, or `6 of 26 trials` where the time does not suffice."""
    wanted = foretold.schedule.trials
    return f"{foretold.trials} of {wanted} trials" if foretold.cut_short else f"{wanted} trials"


def limit_text(limit: LimitShare) -> str:
    """`500 k parameters`, `8 GiB of memory`, `40 ms of latency`."""
    of = "" if limit.name in ("params", "macs") else "of "
    return f"{objective(limit.name).short(limit.limit)} {of}{objective(limit.name).phrase}"


def time_text(hours: float) -> str:
    """`2.5 h`, `14 min`, `50 s`."""
    if hours >= 1:
        return f"{hours:.3g} h"
    minutes = 60 * hours
    return f"{minutes:.0f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"


def _model(foretold: Forecast, name: str) -> str:
    model = getattr(foretold.predictor, name)
    costs = " and ".join(objective(cost).phrase for cost in model.rates) or "their mean"
    error = "" if model.error is None else f", held-out error {model.error:.0%}"
    return f"by {costs}{error}"
