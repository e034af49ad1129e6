"""A network made smaller: fewer units, and maps of lower rank."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from search_spaces.blocks.low_rank import Factors
from search_spaces.blocks.prunable import keep, prunable
from search_spaces.choices import ArchitectureError


def shrink(
    network: nn.Module, kept: Iterable[tuple[str, int]], ranks: Iterable[tuple[str, int]]
) -> nn.Module:
    """`network` itself with the sizes of a compressed one; which of its values stay means nothing.

    Raises ArchitectureError where it has no such units or maps.
    """
    for name, count in kept:
        units = prunable(network)
        if name not in units:
            raise ArchitectureError(f"kept.{name}: the network has no such units")
        each = units[name]
        if count > each.count or count % each.sections:
            raise ArchitectureError(
                f"kept.{name} = {count}; expected at most {each.count}, in multiples of "
                f"{each.sections}"
            )
        keep(each, first_of_each(each.count, each.sections, count))
    for path, rank in ranks:
        try:
            replace_layer(network, path, Factors(network.get_submodule(path), rank))
        except (AttributeError, TypeError) as error:
            raise ArchitectureError(f"ranks.{path}: {error}") from None
    return network


def first_of_each(count: int, sections: int, kept: int) -> list[int]:
    """The first units of every section, `kept` in all."""
    run, each = count // sections, kept // sections
    return [section * run + unit for section in range(sections) for unit in range(each)]


def replace_layer(network: nn.Module, path: str, layer: nn.Module) -> None:
    """Put `layer` in the place of the one at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)
