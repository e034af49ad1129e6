"""How many trials fit side by side, machine by machine. Knows no Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nas.config.resources import Resources
from trainers.cores import usable_cores
from trainers.errors import UserError


@dataclass(frozen=True)
class Machine:
    """What a machine offers, by Ray's names: `CPU`, `GPU` and those that it was started with."""

    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    def room(self, wanted: Resources) -> int:
        """How many trials fit here. A trial's GPUs are whole ones, or a share of one."""
        if not all(matches(self.labels.get(name), rule) for name, rule in wanted.labels.items()):
            return 0
        needs = {"CPU": wanted.cpus, **wanted.custom}
        rooms = [_times(self.resources.get(name, 0), need) for name, need in needs.items()]
        gpus = int(self.resources.get("GPU", 0))
        if wanted.gpus >= 1:
            rooms.append(_times(gpus, wanted.gpus))
        elif wanted.gpus:
            rooms.append(gpus * _times(1, wanted.gpus))
        return min(rooms)

    def __str__(self) -> str:
        hidden = ("node:", "memory", "object_store_memory", "bundle_group")
        shown = [f"{n:g} {k}" for k, n in self.resources.items() if not k.startswith(hidden)]
        shown += [f"{k}={v}" for k, v in self.labels.items() if not k.startswith("ray.io/")]
        return f"{self.name} ({', '.join(shown)})"


def matches(label: str | None, rule: str) -> bool:
    """Whether a node's label is as Ray's label selector wants it.

    Rules: `a100`, `!a100`, `in(a100, h100)`, `!in(a100, h100)`; a label that is missing (None)
    fulfils those with `!`.
    """
    negated, rule = rule.startswith("!"), rule.removeprefix("!")
    among = rule[3:-1].split(",") if rule.startswith("in(") and rule.endswith(")") else [rule]
    return (label in [value.strip() for value in among]) is not negated


def this_machine() -> Machine:
    """The CPUs that this process may use, and the GPUs that torch can use."""
    import torch

    offers = {"CPU": usable_cores(), "GPU": torch.cuda.device_count()}
    return Machine("this machine", offers)


def count_slots(wanted: Resources, machines: Sequence[Machine] | None = None) -> int:
    """How many trials run side by side on these machines (default: on this one).

    Raises UserError where none of them has room for one.
    """
    machines = [this_machine()] if machines is None else machines
    room = sum(machine.room(wanted) for machine in machines)
    if room == 0:
        have = "; ".join(map(str, machines)) or "no machine at all"
        raise UserError(
            f"resources: one trial wants {_asked(wanted)}, and no machine has that; "
            f"there is {have}. Ask for less, or give --address of a Ray cluster that has it"
        )
    return min(room, wanted.concurrent or room)


def _times(have: float, need: float) -> int:
    return int(have / need + 1e-9)


def _asked(wanted: Resources) -> str:
    parts = [f"cpus = {wanted.cpus}", f"gpus = {wanted.gpus:g}"]
    parts += [f"{name} = {need:g}" for name, need in wanted.custom.items()]
    parts += [f"label {name} {rule}" for name, rule in wanted.labels.items()]
    return ", ".join(parts)
