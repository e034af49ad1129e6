"""The latencies of `latency.devices` as a configuration names them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from nas.pareto.objectives import LATENCY, OBJECTIVES, device_of, is_latency, latency_on, objective


def on_each_device(values: Mapping[str, Any], objectives: Sequence[str]) -> dict[str, Any]:
    """The values of a whole configuration, with `latency_ms@DEVICE` of every device in the place of
    `latency_ms`; as they are where no devices are named. `objectives`: where it names none."""
    latency = values.get("latency")
    if isinstance(latency, dict):
        devices = latency.get("devices")
    else:
        devices = getattr(latency, "devices", None)
    if not isinstance(devices, dict) or not devices:
        return dict(values)
    each = [latency_on(str(name)) for name in devices]
    changed, budget = dict(values), values.get("budget")
    told = values.get("objectives", objectives)
    if isinstance(told, list | tuple):
        parts = [each if name == LATENCY else [name] for name in told]
        changed["objectives"] = [name for part in parts for name in part]
    if isinstance(budget, dict) and budget.get(LATENCY) is not None:
        others = {name: limit for name, limit in budget.items() if name != LATENCY}
        changed["budget"] = {**dict.fromkeys(each, budget[LATENCY]), **others}
    return changed


def check_objectives(names: Iterable[str]) -> None:
    """Raise ValueError for a name of no objective."""
    for name in names:
        try:
            objective(name)
        except ValueError:
            told = f"{name!r} is none; expected of {', '.join(OBJECTIVES)}"
            raise ValueError(told) from None


def check_devices(key: str, names: Iterable[str], devices: Collection[str]) -> None:
    """Raise ValueError for a latency of a device that is not named; `key` is where it stands."""
    for name in names:
        if is_latency(name) and device_of(name) not in (devices or ("",)):
            there = " or ".join(map(latency_on, devices)) or LATENCY
            raise ValueError(
                f"{key}: {name} is of a device that latency.devices does not name; expected {there}"
            )
