"""A result as MLflow's metrics, parameters and tags."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from nas.config.nested import leaves
from nas.pareto.result import Result

VALUE_LENGTH = 500
SPREAD = ("mean_ms", "p90_ms", "p99_ms", "noise")  # of a latency, beside its median


def final_metrics(result: Result) -> dict[str, float]:
    """The known objectives of an ended trial, `dice_<class>` for each class, `latency/<name>` for
    the rest of its distribution, the epochs trained, what was measured."""
    values = {
        "dice": result.dice,
        **result.costs,
        **{f"latency/{name}": (result.latency or {}).get(name) for name in SPREAD},
        "epochs": result.epochs,
        "train_seconds": result.train_seconds,
        **{f"dice_{name}": value for name, value in result.dice_per_class.items()},
        **result.measured,
    }
    return {safe(name): float(value) for name, value in values.items() if value is not None}


def curve_points(result: Result, validate_every: int) -> list[tuple[int, float]]:
    """(epoch, Dice) of every validation of a trial: each `validate_every` epochs, and the last."""
    return [
        (min(number * validate_every, result.epochs), dice)
        for number, dice in enumerate(result.curve, 1)
    ]


def fingerprint(result: Result) -> str:
    """Equal for results of which MLflow holds the same; of 16 hexadecimal digits."""
    told = [final_metrics(result), params(result.architecture), result.curve]
    text = json.dumps([*told, result.state, result.reason], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def params(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as parameters, with names and lengths that MLflow takes."""
    return {safe(name): str(v)[:VALUE_LENGTH] for name, v in leaves(values)}


def safe(name: str) -> str:
    """The name, with nothing in it that MLflow refuses."""
    return re.sub(r"[^\w\-./: ]", "_", name)
