"""True is no number, "3" is none and NaN is none, wherever a configuration has one."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from nas.config.explain import explain
from nas.config.nested import leaves
from nas.config.run_config import RunConfig

FULL = {
    "name": "full",
    "data": {
        "source": "msd",
        "path": "x",
        "preprocess": {
            "spacing": [1.0, 1.0, 2.0],
            "intensity": "ct",
            "window": [-175, 250],
            "range": [-1, 1],
        },
        "split": {"groups": {"pattern": "(a)"}},
    },
    "train": {
        "patch": [32, 32, 32],
        "augment": {"flips": [0, 1]},
        "betas": [0.8, 0.9],
        "momentum": 0.5,
        "layer_decay": 0.75,
        "schedule": {"t_max": 3, "minimum": 1e-6},
    },
    "retrain": {"mirror": [0]},
    "budget": {"params": 1e6, "macs": 1e9, "memory": 10**9, "latency_ms": 3},
    "search": {"hours": 1, "epochs": 100, "trial_hours": 1, "early_stopping": {"grace": 1}},
    "resources": {"custom": {"disk": 1}, "concurrent": 2},
    "latency": {"patch": [32, 32, 32], "volume": [64, 64, 64], "resources": {"bench": 1}},
}


def full() -> dict[str, Any]:
    """Every key of a run, defaults included."""
    values: dict[str, Any] = RunConfig.model_validate(FULL).model_dump(mode="json")
    return values


def numbers() -> Iterator[str]:
    for path, value in leaves(full()):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield path


NUMBERS = list(numbers())
BOOLEANS = [path for path, value in leaves(full()) if isinstance(value, bool)]
PHANTOM = {"source": "phantom", "split": {"validation": 0.2}}


def refused(path: str, value: Any, data: dict[str, Any] | None = None) -> str:
    values = full() | ({"data": data} if data else {})
    here: Any = values
    *parents, last = path.split(".")
    for parent in parents:
        here = here[int(parent) if isinstance(here, list) else parent]
    here[int(last) if isinstance(here, list) else last] = value
    with pytest.raises(ValidationError) as error:
        RunConfig.model_validate(values)
    return explain(error.value, RunConfig, "a.yaml").removeprefix("a.yaml: ")


def test_there_are_numbers_everywhere():
    assert len(NUMBERS) > 80
    assert {"train.patch.0", "data.preprocess.window.1", "resources.custom.disk"} < set(NUMBERS)
    assert {"retrain.augment.flips.0", "budget.memory", "search.early_stopping.grace"} < {*NUMBERS}


@pytest.mark.parametrize("value", [True, False, "3", math.nan, math.inf, 10**250, [1], {}])
def test_what_is_no_number_is_refused_by_key(value):
    for path in NUMBERS:
        if (value == "3" and path == "budget.memory") or (value == 10**250 and not _is_whole(path)):
            continue  # text for bytes, which may have a unit; a float
        message = refused(path, value)
        key = path.rpartition(".")[0] if path.split(".")[-1].isdigit() else path
        assert key in message
        assert "\n" not in message


def _is_whole(path: str) -> bool:
    return isinstance(dict(leaves(full()))[path], int) and path != "budget.memory"


@pytest.mark.parametrize("value", [1, 0, "true", "yes", 1.0])
@pytest.mark.parametrize("path", BOOLEANS)
def test_what_is_no_boolean_is_refused(path, value):
    assert refused(path, value).startswith(f"{path} = {value!r}: ")


@pytest.mark.parametrize("key", ["cases", "shape", "spacing", "organs", "noise", "seed"])
def test_a_source_of_data_has_numbers_too(key):
    data = PHANTOM | {key: [True] * 3 if key in ("shape", "spacing") else True}
    assert f"data.{key}" in refused("seed", 0, data)


def test_whole_floats_are_whole_numbers():
    config = RunConfig.model_validate(full() | {"seed": 3.0})
    assert config.seed == 3 and type(config.seed) is int


@pytest.mark.parametrize("option", [True, "1", [1]])
def test_a_restricted_knob_takes_no_boolean_for_a_number(option):
    space = {"name": "hybrid", "restrict": {"convs": [option]}}
    with pytest.raises(ValueError, match=r"restrict\.convs = .*; expected some of \[2, 1"):
        RunConfig.model_validate(full() | {"space": space})


def test_options_keep_their_types():
    restrict = {"tokens": {"prune": [0, 0.5]}, "prior": [True], "levels": [3.0]}
    config = RunConfig.model_validate(full() | {"space": {"name": "hybrid", "restrict": restrict}})
    found = {key: [(type(o), o) for o in options] for key, options in config.space.restrict.items()}
    assert found == {
        "tokens.prune": [(float, 0.0), (float, 0.5)],
        "prior": [(bool, True)],
        "levels": [(int, 3)],
    }


@pytest.mark.parametrize("key", ["hours", "trial_hours", "stall_minutes"])
@pytest.mark.parametrize("text", ["1:30", "1:30:00", "90min", "2h"])
def test_a_duration_is_told_how_to_be_written(key, text):
    unit = "minutes" if key == "stall_minutes" else "hours"
    assert refused(f"search.{key}", text) == (
        f"search.{key} = {text!r}: expected a number of {unit}, such as 1.5 for one and a half"
    )
