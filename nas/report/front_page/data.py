"""What the page knows: plain JSON values, from which its scripts draw everything."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nas.pareto.objectives import COSTS, OBJECTIVES
from nas.pareto.result import Result
from nas.report.architecture_text import compact
from nas.report.search_record import SearchRecord
from nas.study.result_knobs import Network, network_of
from search_spaces.registry import SPACES
from search_spaces.space import Option, SearchSpace

if TYPE_CHECKING:
    from nas.study.knob_importance import Importance


def page_data(record: SearchRecord, importances: Sequence[Importance] | None) -> dict[str, Any]:
    """Everything that the page shows. What is no number is null."""
    results, classes, space = record.results, record.classes, record.space
    networks = [network_of(result, space) for result in results]
    names = _names(space, record.starts)
    pictures: dict[str, int] = {}
    knobs = _knobs(networks, space)
    return {
        "title": record.title,
        "objectives": list(record.objectives),
        "costs": [c for c in COSTS if any(c in r.costs for r in results)],
        "table": {name: asdict(objective) for name, objective in OBJECTIVES.items()},
        "classes": list(classes),
        "latency": record.conditions,
        "front": [member.key for member in record.members],
        "knobs": [{"name": n, "options": list(map(option_text, o))} for n, o in knobs.items()],
        "networks": [
            {
                **_values(result, classes),
                "name": names.get(result.key),
                "knobs": _places(network.knobs, knobs),
                "picture": _index(_picture(network), pictures),
            }
            for result, network in zip(results, networks, strict=True)
        ],
        "pictures": list(map(json.loads, pictures)),
        "importances": None if importances is None else list(map(_importance, importances)),
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


def _values(result: Result, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "key": result.key,
        "number": result.number,
        "state": result.state,
        "reason": result.reason,
        "dice": _number(result.dice),
        "perClass": [_number(result.dice_per_class.get(name)) for name in classes],
        "costs": {cost: _number(result.value(cost)) for cost in COSTS},
        "epochs": result.epochs,
        "curve": [_number(value, digits=4) for value in result.curve],
        "text": compact(result.architecture),
    }


def _number(value: float | None, digits: int | None = None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def _names(space: SearchSpace | None, starts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What a key is known as, and whether as a preset, a baseline or a start of this search."""
    baselines = SPACES["baselines"].presets()
    presets = space.presets() if space else {}
    known = {architecture.key: name for name, architecture in presets.items()}
    kinds = dict.fromkeys(presets, "preset") | dict.fromkeys(baselines, "baseline")
    return {
        key: {"text": name, "kind": kinds.get(name, "start")}
        for key, name in {**known, **starts}.items()
    }


def _knobs(networks: Sequence[Network], space: SearchSpace | None) -> dict[str, list[Option]]:
    """The knobs that vary, in the space's order, with the options met, small numbers first."""
    met: dict[str, dict[Option, None]] = {}
    for network in networks:
        for name, option in network.knobs.items():
            met.setdefault(name, {})[option] = None
    order = {knob.name: place for place, knob in enumerate(space.knobs())} if space else {}
    names = sorted(met, key=lambda name: (_place(name, order), name))
    return {name: sorted(met[name], key=_rank) for name in names if len(met[name]) > 1}


def _place(path: str, order: Mapping[str, int]) -> int:
    return order.get(".".join(word for word in path.split(".") if not word.isdigit()), 0)


def _rank(option: Option) -> tuple[bool, float, str]:
    number = option if isinstance(option, int | float) else None
    return (number is None, number or 0.0, str(option))


def _places(knobs: Mapping[str, Option], all_knobs: Mapping[str, list[Option]]) -> list[int]:
    """The place of each knob's option among those met, -1 for a knob that was not asked for."""
    return [
        options.index(knobs[name]) if name in knobs else -1 for name, options in all_knobs.items()
    ]


def _picture(network: Network) -> str | None:
    return json.dumps(list(map(asdict, network.stages))) if network.stages else None


def _index(picture: str | None, pictures: dict[str, int]) -> int | None:
    """Its place among the different ones: many networks look alike from afar."""
    return None if picture is None else pictures.setdefault(picture, len(pictures))


def _importance(importance: Importance) -> dict[str, Any]:
    return {
        "objective": importance.objective,
        "networks": importance.networks,
        "shares": {name: round(share, 4) for name, share in importance.shares.items()},
        "beyondChance": sorted(importance.beyond_chance),
    }
