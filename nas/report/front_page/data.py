"""What the page knows: plain JSON values, from which its scripts draw everything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nas.pareto.objectives import COSTS, OBJECTIVES, Objective, costs_among, objective
from nas.pareto.reference import dice_reference
from nas.pareto.result import ABSENT, Result
from nas.report.architecture_text import compact
from nas.report.front_page.sentences import caption, conditions, importance_text
from nas.report.search_record import SearchRecord
from nas.report.untrained import Untrained
from nas.study.result_knobs import Network, network_beside, network_in, network_of
from search_spaces.registry import SPACES, find_space
from search_spaces.space import Option, SearchSpace, path_pattern

if TYPE_CHECKING:
    from nas.study.knob_importance import Importance

VERSION = 3  # of these data; a page that is open loads anew where its search writes others
COUNTS = 0.03  # the share from which a knob's importance for an objective is shown


def page_data(
    record: SearchRecord, importances: Sequence[Importance] | None, in_folder: bool = False
) -> dict[str, Any]:
    """Everything that the page shows. What is no number is null.

    What stands beside the front is among the networks, baselines, compressed networks and what was
    not trained each in a state of their own.
    """
    results, classes, space = record.results, record.classes, record.space
    candidates = [network_of(result, space) for result in results]
    networks = [*candidates, *map(network_beside, record.beside)]
    taken = {each.key for each in (*results, *record.beside)} | {each.alike for each in networks}
    untrained = [each for each in record.untrained if each.key not in taken]
    names = _names(space, record.starts)
    names |= {each.name: _name(each.label, "baseline") for each in record.baselines}
    names |= {each.name: _name(each.made, "compressed") for each in record.compressed}
    beside = [network_in(each.architecture, find_space(each.space)) for each in untrained]
    drawn = [repr(each.stages) if each.stages else "" for each in (*networks, *beside)]
    both = zip(drawn, (*networks, *beside), strict=True)
    pictures = {text: each.stages for text, each in both if text}  # many look alike
    numbers = {text: number for number, text in enumerate(pictures)}
    knobs = _knobs(candidates, space)
    known = costs_among(name for each in (*results, *record.beside) for name in each.costs)
    costs = costs_among([*COSTS, *known, *record.objectives])
    places = {knob: {option: i for i, option in enumerate(o)} for knob, o in knobs.items()}
    return {
        "version": VERSION,
        "progress": record.progress.to_json() if record.progress else None,
        "runs": record.runs.address,
        "caption": caption(record),
        "conditions": conditions(record),
        "inFolder": in_folder,
        "objectives": list(record.objectives),
        "reference": dice_reference(results),
        "costs": known,
        "formats": {name: format_of(objective(name)) for name in (*OBJECTIVES, *costs)},
        "classes": list(classes),
        "knobs": [{"name": n, "options": list(map(option_text, o))} for n, o in knobs.items()],
        "networks": [
            {
                **_values(result, classes, costs),
                "trainings": list(result.trainings),
                "chance": record.chances.get(result.name),
                "name": names.get(result.name) or names.get(network.alike),
                "knobs": [  # the place of its option, -1 for a knob that was not asked for
                    options[network.knobs[knob]] if knob in network.knobs else -1
                    for knob, options in (places if result.is_candidate else {}).items()
                ],
                "picture": numbers.get(picture),
                "run": record.runs.ids.get(result.name),
            }
            for result, network, picture in zip(
                (*results, *record.beside), networks, drawn, strict=False
            )
        ]
        + [
            _untrained(each, costs, numbers.get(picture))
            for each, picture in zip(untrained, drawn[len(networks) :], strict=True)
        ],
        "pictures": [list(map(asdict, stages)) for stages in pictures.values()],
        "importances": {
            "text": importance_text(importances),
            **_importance_table(importances or (), knobs),
        },
    }


def option_text(option: Option) -> str:
    """An option as the configuration spells it."""
    return str(option).lower() if isinstance(option, bool) else str(option)


def embedded(value: Any) -> str:
    """JSON that can stand in a `<script>` element: nothing in it can end the element.

    Raises ValueError for NaN and infinities.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _values(result: Result, classes: Sequence[str], costs: Sequence[str]) -> dict[str, Any]:
    return {
        "key": result.name,
        "number": result.number,
        "state": result.state if result.is_candidate else _kind(result),
        "reason": result.reason,
        "dice": _number(result.dice),
        "perClass": [_class_dice(result, name) for name in classes],
        "costs": {cost: _number(result.value(cost)) for cost in costs},
        **({"macsBounds": list(result.macs_bounds)} if result.macs_bounds else {}),
        "epochs": result.epochs,
        "curve": [_number(value, digits=4) for value in result.curve],
        "text": compact(result.architecture),
    }


def _untrained(network: Untrained, costs: Sequence[str], picture: int | None) -> dict[str, Any]:
    """One of the networks, of which nothing but its costs is known."""
    return {
        "key": network.key,
        "number": 0,
        "state": "untrained",
        "reason": None,
        "dice": None,
        "perClass": [],
        "costs": {cost: _number(network.costs.get(cost)) for cost in costs},
        "epochs": 0,
        "curve": [],
        "text": compact(network.architecture),
        "trainings": [],
        "chance": None,
        "name": _name(network.name, "baseline" if network.is_baseline else "preset"),
        "knobs": [],
        "picture": picture,
        "run": None,
    }


def _kind(result: Result) -> str:
    return "baseline" if result.baseline else "compressed"


def _number(value: float | None, digits: int | None = None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def _class_dice(result: Result, name: str) -> float | str | None:
    """A number, a text that takes its place, or null where nothing is known."""
    dice = result.dice_per_class
    return ABSENT if name in dice and dice[name] is None else _number(dice.get(name))


def _names(space: SearchSpace | None, starts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What a key is known as, and whether as a preset, a baseline or a start of this search."""
    baselines = SPACES["baselines"].presets()
    presets = space.presets() if space else {}
    known = {architecture.key: name for name, architecture in presets.items()}
    kinds = dict.fromkeys(presets, "preset") | dict.fromkeys(baselines, "baseline")
    return {key: _name(name, kinds.get(name, "start")) for key, name in {**known, **starts}.items()}


def _name(text: str, kind: str) -> dict[str, str]:
    return {"text": text, "kind": kind}


def _knobs(networks: Sequence[Network], space: SearchSpace | None) -> dict[str, list[Option]]:
    """The knobs that vary, in the space's order, with the options met, small numbers first."""
    met: dict[str, dict[Option, None]] = {}
    for network in networks:
        for name, option in network.knobs.items():
            met.setdefault(name, {})[option] = None
    order = {knob.name: place for place, knob in enumerate(space.knobs())} if space else {}
    names = sorted(met, key=lambda name: (order.get(path_pattern(name), 0), name))
    return {name: sorted(met[name], key=_rank) for name in names if len(met[name]) > 1}


def _rank(option: Option) -> tuple[bool, float, str]:
    number = option if isinstance(option, int | float) else None
    return (number is None, number or 0.0, str(option))


def _importance_table(importances: Sequence[Importance], knobs: Iterable[str]) -> dict[str, Any]:
    """A row for each knob that counts for some objective, the most important first."""
    rows = []
    for knob in knobs:
        shares = [importance.shares.get(knob, 0.0) for importance in importances]
        noise = [knob not in importance.beyond_chance for importance in importances]
        told = list(zip(shares, noise, strict=True))
        cells = [{"share": round(share, 4), "noise": chance} for share, chance in told]
        total = sum(share for share, chance in told if share >= COUNTS or not chance)
        rows.append((total, {"knob": knob, "cells": cells}))
    shown = sorted((row for row in rows if row[0]), key=lambda row: -row[0])
    objectives = [importance.objective for importance in importances]
    return {"objectives": objectives, "rows": [row for _, row in shown]}


def format_of(objective: Objective) -> dict[str, Any]:
    """What writes a value of it: the title and what it means, the unit with its prefixes, and its
    sense."""
    return {
        "title": objective.title,
        "meaning": objective.meaning,
        "unit": objective.unit,
        "maximised": objective.maximised,
        "prefixes": objective.prefixes,
    }
