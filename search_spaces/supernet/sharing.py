"""Which weights of two networks of `hybrid` are the same ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from search_spaces.supernet.joined import IN, OUT, Sizes, joined_axes

if TYPE_CHECKING:
    from search_spaces.hybrid import Hybrid


@dataclass(frozen=True)
class Place:
    """Where a parameter of a network is found: the entry `name` of a group's bank, and along each
    axis the sizes of the parts of which it has the heads."""

    group: str
    name: str
    parts: tuple[Sizes, ...]


def group_of(point: Hybrid) -> str:
    """Networks of different groups share nothing.

    What they compute with the same layer is not the same: features at another resolution
    (`stem_stride`), half of them made of the other half (`conv`), or only what a shortcut leaves
    out (`residual`).
    """
    shortcut = "residual" if point.residual else "plain"
    return f"{point.conv}/stride{point.stem_stride}/{shortcut}"


def places(network: nn.Module, point: Hybrid) -> dict[str, Place]:
    """The place of every parameter of the network that was built of `point`."""
    mixers = {point.levels - 1 - i: stage.mixer for i, stage in enumerate(point.tokens)}
    joins = f"{point.decoder}/{'add' if point.skip == 'add' else 'concat'}"
    halved = point.conv == "ghost"
    return {
        name: Place(group_of(point), _shared_name(path, point.levels - 2, joins, mixers), parts)
        for name, (path, parts) in _paths(network, halved).items()
    }


def stage_places(stage: nn.Module, level: int, mixer: str, halved: bool) -> dict[str, Place]:
    """The same of a token stage alone, of no group. `halved`: of networks of ghost convolutions."""
    return {
        name: Place("", _shared_name(f"tokens.{level}.{path}", 0, "", {level: mixer}), parts)
        for name, (path, parts) in _paths(stage, halved).items()
    }


def _paths(network: nn.Module, halved: bool) -> dict[str, tuple[str, tuple[Sizes, ...]]]:
    """Of every parameter its name, followed by the kind of module and the kernel, and its parts."""
    joined = joined_axes(network)
    found = {}
    for path, module in network.named_modules():
        for own, weight in module.named_parameters(recurse=False):
            name = f"{path}.{own}" if path else own
            sizes = [joined.get((name, axis), (n,)) for axis, n in enumerate(weight.shape)]
            if halved:
                sizes = [_halved(name, axis, parts) for axis, parts in enumerate(sizes)]
            kernel = "x".join(map(str, weight.shape[2:]))
            kind = type(module).__name__ + (f"-{kernel}" if kernel else "")
            found[name] = (f"{name}.{kind}", tuple(sizes))
    return found


def _shared_name(name: str, last: int, joins: str, mixers: Mapping[int, str]) -> str:
    """The name by which networks of other depths and kinds know the weight.

    Levels count from the shallow end, as in the encoder: decoder level 0 is the `last` one. Layers,
    convolutions and pruning places count from the first. Windows hold no weights. What the decoder
    joins and how (`joins`), and the token mixer, are kinds with weights of their own.
    """
    words = name.split(".")
    if words[0] == "decoder":
        words[:2] = ["decoder", joins, str(last - int(words[1]))]
    elif words[:3] == ["skips", "router", "release"]:
        words[3] = str(last - int(words[3]))
    elif words[0] == "tokens" and "mixer" in words:
        words.insert(words.index("mixer") + 1, mixers[int(words[1])])
    path = re.sub(r"/mixer/(\w+)/mixer/", r"/mixer/\1/", "/".join(words))  # in windows
    return re.sub(r"/shortcut/\d+/", "/shortcut/", path)  # behind a pool, or without


# In a ghost network a level's channels are two halves, one made of the other.
_MIXER = re.compile(r"\.mixer\.(?:mixer\.)?(\w+)\.(?:(\d)\.)?(?:weight|bias)$")


def _halved(name: str, axis: int, parts: Sizes) -> Sizes:
    """The parts of an axis of a ghost network.

    All are cut in two, so that what a layer puts out and what the next one reads are cut alike.
    Not the halves themselves; nor what is inside of attention, which is cut by heads; nor the
    shares of the levels.
    """
    if axis == OUT and re.search(r"\.(primary|cheap)\.(weight|bias)$", name):
        return parts
    if name.startswith("skips.router.control.2") and axis == OUT:
        return parts
    if ".mixer." in name and not _of_the_level(name, axis):
        return parts
    return tuple(half for n in parts for half in (n - n // 2, n // 2))


def _of_the_level(name: str, axis: int) -> bool:
    """Whether the axis of a mixer's weight is that of the tokens which enter or leave it."""
    found = _MIXER.search(name)
    if found is None:
        return False
    layer, thin = found.groups()
    if layer in ("qkv", "query", "keys_values", "enter"):
        return axis == IN and thin in (None, "0")
    return layer in ("project", "leave") and axis == OUT and thin in (None, "1")
