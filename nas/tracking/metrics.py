"""A result as MLflow's metrics, parameters and tags."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from nas.config.nested import leaves
from nas.cost.latency.conditions import conditions_text
from nas.pareto.result import Result, known

VALUE_LENGTH = 500
CHANCE = "chance"  # to be on the front: known in the end only, and sent by itself
SPREAD = ("mean_ms", "p90_ms", "p99_ms", "noise")  # of a latency, beside its median


def metric_name(objective: str) -> str:
    """What the metric of an objective is called: `latency_ms/clinic` for `latency_ms@clinic`."""
    return safe(objective.replace("@", "/"))


def final_metrics(result: Result) -> dict[str, float]:
    """What MLflow shows of an ended trial, by the metric's name, as far as it is known.

    Its objectives, `dice_<class>` for each class, `latency/<name>` for the rest of the latency's
    distribution (on several devices `latency_ms/<device>` and `latency/<device>/<name>`), the
    epochs and seconds trained, and what the network measured of itself, with the least and the most
    multiply-accumulates where its input decides between them. Trained again, `training/<number>` is
    the Dice of each training, of which `dice` is the mean.
    """
    values = {
        **result.measured,  # first: what it calls as we call ours is ours
        "dice": result.dice,
        **{metric_name(name): value for name, value in result.costs.items()},
        **result.bounds,
        **{f"latency/{name}": (result.latency or {}).get(name) for name in SPREAD},
        **{
            f"latency/{device}/{name}": told.get(name)
            for device, told in result.latencies.items()
            for name in SPREAD
        },
        "epochs": result.epochs,
        "train_seconds": result.train_seconds,
        **{f"dice_{name}": value for name, value in result.dice_per_class.items()},
        **{f"training/{number}": dice for number, dice in enumerate(result.trainings, 1)},
    }
    return {safe(name): float(value) for name, value in values.items() if value is not None}


def has_no_more(name: str, values: Mapping[str, float]) -> bool:
    """Whether a metric that was sent of a result is no metric of it any more, by its `values` now:
    it became infeasible, or a training of it does not count."""
    if name == CHANCE:
        return "dice" not in values
    ours = name == "dice" or name.startswith(("dice_", "training/"))
    return ours and name not in values


def curve_points(result: Result, validate_every: int) -> list[tuple[int, float]]:
    """(epoch, Dice) of every validation of a trial: each `validate_every` epochs, and the last.

    Those of no class at all have none.
    """
    return [
        (min(number * validate_every, result.epochs), dice)
        for number, dice in enumerate(result.curve, 1)
        if known(dice) is not None
    ]


def result_tags(result: Result) -> dict[str, str]:
    """The tags that tell of the result itself; those of its rank change with other results.

    `latency/<device>`: under which conditions the latency on one of several devices was measured.
    """
    devices = {
        f"latency/{device}": conditions_text(told) for device, told in result.latencies.items()
    }
    how = {"compressed": "method", "compressed_of": "of"} if result.compressed else {}
    return {
        "state": result.state,
        **({"reason": result.reason} if result.reason else {}),
        **{tag: result.compressed[name] for tag, name in how.items()},
        **devices,
    }


def fingerprint(result: Result) -> str:
    """16 hexadecimal digits, equal for results that have the same record in MLflow."""
    values = [final_metrics(result), params(result.architecture), result.curve]
    known = result_tags(result)  # first what 0.1 told: its runs are then found to be complete
    text = json.dumps(
        [*values, known.pop("state"), known.pop("reason", None), *known.items()], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def params(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as parameters, with names and lengths that MLflow takes."""
    return {safe(name): str(v)[:VALUE_LENGTH] for name, v in leaves(values)}


def safe(name: str) -> str:
    """The name, with nothing in it that MLflow refuses: some signs, and paths such as `a/../b`."""
    allowed = re.sub(r"[^\w\-./: ]", "_", name)
    return allowed if posixpath.normpath(allowed) == allowed else allowed.replace("/", "_")
