"""One pass, two counts: thop's rules by module, torch's formulas by operator."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nas.cost.mac_rules import Rule, rule_of
from nas.cost.torch_counter import OperatorCounter
from search_spaces.offers import assume_kept, counts_itself

Shares = Callable[[Any, tuple[Any, ...]], Mapping[str, int]]  # of a call: module, inputs
TOLERANCE = 1e-3  # of the larger count; beyond it the two disagree


@dataclass(frozen=True)
class MacCounts:
    """Multiply-accumulates of one pass, counted twice.

    `thop`, `torch`: by module; torch's all under None unless they were asked for by module.
    `named`: what modules told by `own_macs`, which is in both. `without`: calls of operators that
    torch has no formula for, outside modules that count for themselves.
    """

    thop: Mapping[nn.Module, int]
    torch: Mapping[nn.Module | None, int]
    named: Mapping[str, int]
    without: Mapping[Any, int]

    @property
    def macs(self) -> int:
        """thop's count; the larger one where they disagree."""
        mine, other = sum(self.thop.values()), sum(self.torch.values())
        return mine if agree(mine, other) else max(mine, other)

    @property
    def agree(self) -> bool:
        return agree(sum(self.thop.values()), sum(self.torch.values()))

    def differing(self) -> list[nn.Module]:
        """The modules whose own counts disagree; needs counts by module."""
        modules = dict.fromkeys(m for m in (*self.torch, *self.thop) if m is not None)
        return [m for m in modules if not agree(self.thop.get(m, 0), self.torch.get(m, 0))]


def agree(mine: int, other: int) -> bool:
    """Whether two counts are the same to 0.1%."""
    return abs(mine - other) <= TOLERANCE * max(mine, other)


def count_twice(
    network: nn.Module, shape: tuple[int, ...], kept: float = 1.0, by_module: bool = False
) -> MacCounts:
    """Count an eval-mode pass of `network` on a meta input of `shape`.

    Modules with `assumed_kept` keep that share of their queries. The network is left as it was.
    """
    assume_kept(network, kept)
    calls = CountedCalls(rule_of, _own_macs, by_module)
    calls.run(network, shape)
    return MacCounts(calls.macs, calls.counter.macs, calls.named, calls.counter.without)


def _own_macs(kind: type[nn.Module]) -> Shares | None:
    return (lambda module, inputs: module.own_macs(*inputs)) if counts_itself(kind) else None


class CountedCalls:
    """Counts the calls of a network's modules, with torch's counter around them.

    `rule_of`: what counts a type of module, None for nothing. `shares_of`: what tells a call of it
    by named shares; nothing inside such a module is counted, by neither.
    """

    def __init__(
        self,
        rule_of: Callable[[type[nn.Module]], Rule | None],
        shares_of: Callable[[type[nn.Module]], Shares | None],
        by_module: bool = False,
    ) -> None:
        self.counter = OperatorCounter()
        self.macs: Counter[nn.Module] = Counter()
        self.named: Counter[str] = Counter()
        self._rule_of, self._shares_of, self._by_module = rule_of, shares_of, by_module
        self._outside: list[nn.Module | None] = []

    def run(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        """One eval-mode pass on a meta input of `shape`."""
        x = torch.empty(shape, device="meta")
        with ExitStack() as stack:
            stack.enter_context(_evaluating(network))
            for module in network.modules():
                self._watch(module, stack)
            with self.counter:
                network(x)

    def _watch(self, module: nn.Module, stack: ExitStack) -> None:
        """Until the end of `stack`, count every call of `module`."""
        counter, kind = self.counter, type(module)
        rule, shares = self._rule_of(kind), self._shares_of(kind)

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            counter.paused += shares is not None
            self._outside.append(counter.within)
            counter.within = module if self._by_module else None
            return positional(module, args, kwargs) if kwargs else None

        def leave(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            counter.within = self._outside.pop()
            counter.paused -= shares is not None
            if counter.paused:
                return
            counter.paused += 1  # what a rule itself computes is no part of the network
            if shares is not None:
                told = shares(module, inputs)
                self.named.update(told)
                self.macs[module] += sum(told.values())
                counter.macs[module] += sum(told.values())
            elif rule is not None:
                self.macs[module] += rule(module, inputs, output)
            counter.paused -= 1

        if rule or shares or self._by_module:
            stack.enter_context(module.register_forward_pre_hook(enter, with_kwargs=True))
            stack.enter_context(module.register_forward_hook(leave))


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def positional(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same call with its arguments by position, the only ones that rules see."""
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    return bound.args, bound.kwargs
