"""What is learnt of label maps, as a configuration or a `dataset.json` of nnU-Net says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from trainers.errors import UserError, listed
from trainers.volumes.targets import Region, Targets

LARGEST = 2**16 - 1  # label value
SHOWN = 20  # classes in a message


def _label_kind(value: Any) -> str:
    return "[name]" if isinstance(value, str) else "[value]"


Label = Annotated[
    Annotated[str, Tag("[name]")] | Annotated[int, Tag("[value]")], Discriminator(_label_kind)
]
"""A label value, or the name of its class."""


def configured_targets(
    own: Targets,
    regions: Mapping[str, Sequence[Label]],
    order: Sequence[Label],
    ignore: Label | None,
    where: str,
) -> Targets:
    """A source's `own` targets, changed by the keys `regions`, `regions_class_order` and `ignore`.

    where: what names the source's classes, for messages. Raises UserError for a label that there is
    not, a region that has no value of its own in a label map, and for a value to ignore that is
    the background or has classes after it.
    """
    classes, ignored = tuple(own.classes), own.ignore
    if ignore is not None:
        ignored = _value(ignore, classes, "data.ignore", where)
        classes = _without(ignored, classes, where)
    if not regions:
        regions = {region.name: region.labels for region in own.regions}
        order = order or [region.value for region in own.regions]
    if order and not regions:
        raise UserError("data.regions_class_order stands without data.regions; remove it")
    named = {
        name: [_value(label, classes, f"data.regions.{name}", where) for label in labels]
        for name, labels in regions.items()
    }
    values = [_value(label, classes, "data.regions_class_order", where) for label in order]
    return Targets(classes, _regions(named, values, classes, "data.", where), ignored)


def nnunet_targets(labels: Mapping[str, Any], order: Sequence[int], where: str) -> Targets:
    """The targets of nnU-Net's `labels` and, of regions, its `regions_class_order`.

    The label values of regions have no names in nnU-Net; here they are `label 1`, `label 2`, ...
    where: the file, for messages. Raises UserError where they are none that nnU-Net would take.
    """
    named = {name: _numbers(name, value, where) for name, value in labels.items()}
    if named.pop("background", None) != [0]:
        raise UserError(f'{where}: labels has no "background": 0; expected it')
    ignored = named.pop("ignore", None)
    highest = max((value for values in named.values() for value in values), default=0)
    if not highest:
        raise UserError(f"{where}: labels has no class beside the background")
    if ignored not in (None, [highest + 1]):
        raise UserError(
            f"{where}: labels.ignore is {labels['ignore']}; expected {highest + 1}, the value "
            "after the others"
        )
    classes = ["background", *(f"label {value}" for value in range(1, highest + 1))]
    ignore = None if ignored is None else highest + 1
    if any(len(values) > 1 for values in named.values()):
        regions = _regions(named, order, classes, "", where)
        return Targets(tuple(classes), regions, ignore)
    names = {value: name for name, [value] in named.items()}
    if sorted(names) != list(range(1, len(named) + 1)):
        told = ", ".join(f"{value} ({name})" for name, [value] in named.items())
        raise UserError(f"{where}: labels has {told}; expected 1, 2, ... once each, without a gap")
    return Targets(("background", *(names[value] for value in sorted(names))), (), ignore)


def _numbers(name: str, value: Any, where: str) -> list[int]:
    """What a label of nnU-Net is: a number, or those of a region."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or any(type(number) is not int or number < 0 for number in values):
        raise UserError(f"{where}: labels has {value!r} for {name}; expected a number, or several")
    return list(values)


def _value(label: Label, classes: Sequence[str], key: str, where: str) -> int:
    if isinstance(label, int):
        return label
    if label not in classes:
        raise UserError(f"{key}: {label!r} is no class; {where} has {_told(classes)}")
    return classes.index(label)


def _without(ignored: int, classes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The classes that are left."""
    last = len(classes) - 1
    if not max(1, last) <= ignored <= LARGEST:
        raise UserError(
            f"data.ignore = {ignored}: expected the last class of {where}, or a value over {last} "
            f"up to {LARGEST}; there are {_told(classes)}"
        )
    left = classes[:ignored]
    if len(left) < 2:
        raise UserError(f"data.ignore = {ignored} leaves no class; {where} has {_told(classes)}")
    return left


def _regions(
    named: Mapping[str, Sequence[int]],
    order: Sequence[int],
    classes: Sequence[str],
    prefix: str,
    where: str,
) -> tuple[Region, ...]:
    """`prefix`: of the keys, for messages."""
    for name, labels in named.items():
        unknown = [label for label in labels if not 0 < label < len(classes)]
        if unknown or not labels or len(set(labels)) < len(labels):
            raise UserError(
                f"{prefix}regions.{name} = {list(labels)}; expected different labels, of which "
                f"{where} has {_told(classes[1:], 1)}"
            )
    if order and len(order) != len(named):
        raise UserError(
            f"{prefix}regions_class_order has {len(order)} values for {len(named)} regions; "
            "expected one for each"
        )
    values = order or [_own_value(named, name, prefix) for name in named]
    regions = []
    for (name, labels), value in zip(named.items(), values, strict=True):
        if value not in labels:
            raise UserError(
                f"{prefix}regions_class_order has {value} for {name}, which is of the labels "
                f"{list(labels)}; expected one of them"
            )
        regions.append(Region(name, tuple(labels), value))
    return tuple(regions)


def _own_value(named: Mapping[str, Sequence[int]], name: str, prefix: str) -> int:
    """The one label of a region that no later region has."""
    names = list(named)
    later = {label for other in names[names.index(name) + 1 :] for label in named[other]}
    own = [label for label in named[name] if label not in later]
    if len(own) != 1:
        what = "no label of its own" if not own else f"{len(own)} labels of its own"
        raise UserError(
            f"{prefix}regions.{name} has {what} beside the regions after it; list larger regions "
            f"first, and say in {prefix}regions_class_order which value each has in a label map"
        )
    return own[0]


def _told(classes: Sequence[str], first: int = 0) -> str:
    return listed([f"{value} ({name})" for value, name in enumerate(classes, first)], SHOWN)
