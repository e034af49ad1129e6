"""The rules' answers as the keys of a configuration, with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.analysis.plan.choice import Choice
from nas.analysis.plan.machine import MachineFacts
from nas.analysis.plan.networks import SPACE
from nas.analysis.plan.plan_search import SearchPlan
from nas.analysis.plan.plan_step import StepPlan
from nas.analysis.plan.preprocessing import Preprocessing
from nas.study.samplers.warm_start import LADDER
from search_spaces.baselines import PYRAMIDS
from trainers.data.config import Groups, OwnSplit, Split
from trainers.data.source import SourceConfig

FAST, SLOW = 8.0e-3, 3.0e-3  # learning rates
SHORT = 4000  # steps
LOGARITHM = "-ln of Dice: finds small structures within fewer steps than 1 - Dice"


def configuration_tree(
    name: str,
    source: SourceConfig,
    preprocess: Preprocessing,
    split: Choice[Split] | Choice[OwnSplit],
    groups: Choice[Groups | None],
    step: StepPlan,
    search: SearchPlan,
    machine: MachineFacts,
) -> Mapping[str, Any]:
    """All keys that were chosen, in the order in which a person reads them."""
    objectives = ["dice", "params", "latency_ms"]
    return {
        "name": Choice(name, "the search's folder is runs/ and this"),
        "data": _data(source, preprocess, split, groups),
        "space": _space(search),
        "train": _train(step, search),
        "retrain": _retrain(search),
        "objectives": Choice(objectives, "what the front trades off; also: macs, memory"),
        "budget": vars(search.limits),
        "search": _search(search),
        "resources": _resources(machine),
    }


def _data(
    source: SourceConfig,
    preprocess: Preprocessing,
    split: Choice[Split] | Choice[OwnSplit],
    groups: Choice[Groups | None],
) -> dict[str, Any]:
    own = source.model_dump(mode="json", exclude={"preprocess", "split", "cache"})
    cache = {"cache": str(source.cache)} if source.cache else {}
    settings = preprocess.value.model_dump(mode="json", exclude_none=True).items()
    whys = preprocess.whys
    return {
        **own,
        **cache,
        "preprocess": {
            key: Choice(value, whys[key]) if key in whys else value for key, value in settings
        },
        "split": _split(split, groups),
    }


def _split(
    split: Choice[Split] | Choice[OwnSplit], groups: Choice[Groups | None]
) -> dict[str, Any]:
    parts = split.value
    together = groups.value.model_dump(exclude={"size"}) if groups.value else None
    if isinstance(parts, OwnSplit):
        own = {"fold": Choice(parts.fold, split.why)}
        return own | ({"groups": Choice(together, groups.why)} if together else {})
    return {
        "validation": Choice(parts.validation, "share of the cases that chooses networks"),
        "test": Choice(parts.test, split.why),
        "seed": Choice(parts.seed, "of the draw; another one draws other parts"),
        "groups": Choice(together, groups.why),
    }


def _space(search: SearchPlan) -> dict[str, Any]:
    if not search.restrict:
        return {"name": SPACE}
    why = "the papers' slower parts are left for more hours; without `restrict` they are all tried"
    return {"name": SPACE, "restrict": Choice(search.restrict, why)}


def _train(step: StepPlan, search: SearchPlan) -> dict[str, Any]:
    length = search.length
    steps = length.epochs * length.steps
    rate = Choice(FAST, "of AdamW; trainings are short") if steps <= SHORT else Choice(SLOW, "")
    flips = "none: left and right differ in a body; [0] where mirrored cases could be real ones"
    return {
        "patch": step.patch,
        "batch": step.batch,
        "epochs": Choice(length.epochs, f"of {length.steps} steps: {steps} for every network"),
        "steps_per_epoch": length.steps,
        "validate_every": Choice(length.validate_every, "epochs; and after the last one"),
        "learning_rate": rate,
        "loss": {"dice_form": Choice(step.train.loss.dice_form, LOGARITHM)},
        "augment": {"flips": Choice([], flips)},
    }


def _retrain(search: SearchPlan) -> dict[str, Any]:
    light = Choice("light", "rotations and more: long trainings gain by it, short ones do not")
    return {
        "epochs": Choice(4 * search.length.epochs, "of `segnas retrain`: four times as long"),
        "augment": {"preset": light, "flips": Choice([], "as those of `train`")},
    }


def _search(search: SearchPlan) -> dict[str, Any]:
    length, tried = search.length, search.forecast.trials
    early = length.early_stopping
    stopping = early.model_dump(include={"grace", "reduction"}) if early else None
    about = "ends nothing, hours do: whole trainings that they hold, roughly"
    many = f"{about}; about {tried} candidates, since most are stopped early"
    rungs = "after `grace` epochs, and after three times as many, the best third goes on"
    return {
        "budget": Choice("hours", "what is spent to its end"),
        "hours": Choice(search.hours, "what cannot end within them is not begun"),
        "trials": Choice(search.trials, many if early else about),
        "trial_hours": Choice(search.trial_hours, "a network that trains longer is given up"),
        "early_stopping": Choice(
            stopping, rungs if early else "validating takes too long here to compare on the way"
        ),
        "startup": Choice(
            min(3, max(2, tried // 6)), "proposals of all sizes, before the sampler learns"
        ),
        "warm_start": Choice([LADDER], "the plain network at several sizes, tried first"),
        "baselines": Choice(list(PYRAMIDS), "trained beside the candidates, to compare"),
    }


def _resources(machine: MachineFacts) -> dict[str, Any]:
    wanted = machine.resources
    cpus = {"cpus": Choice(wanted.cpus, "of one network; so many train side by side as fit")}
    return {**cpus, "gpus": wanted.gpus} if wanted.gpus else cpus
