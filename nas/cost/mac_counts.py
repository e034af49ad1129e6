"""One pass, two counts: thop's by module, torch's by operator."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import thop
import torch
from thop.vision.basic_hooks import count_parameters
from torch import nn

from nas.cost.mac_rules import rule_of
from nas.cost.torch_counter import OperatorCounter
from search_spaces.offers import assume_kept, counts_itself

_Hook = Callable[[Any, tuple[Any, ...], Any], None]
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

    Modules with `assumed_kept` keep that share of their queries. The network is left as it was, and
    so it is where it raises, which goes on to the caller.
    """
    watched = _Watched(network)
    assume_kept(network, kept)
    modes = {module: module.training for module in network.modules()}
    try:
        with ExitStack() as stack:
            for module in modes:
                watched.watch(module, stack, by_module)
            hooks = {kind: watched.tally(kind) for kind in {type(module) for module in modes}}
            x = torch.empty(shape, device="meta")
            thop.profile(watched, (x,), custom_ops=hooks, verbose=False)
    finally:
        for module, training in modes.items():
            module.training = training
            for buffer in ("total_ops", "total_params"):  # thop leaves some behind
                module._buffers.pop(buffer, None)
    if watched.error is not None:
        raise watched.error
    counter = watched.counter
    return MacCounts(watched.macs, counter.macs, watched.named, counter.without)


class _Watched(nn.Module):
    """What thop profiles: the network, with torch's counter around its pass and nothing else.

    An error is kept instead of raised, or thop would leave its hooks behind.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.counter = network, OperatorCounter()
        self.macs: Counter[nn.Module] = Counter()
        self.named: Counter[str] = Counter()
        self.error: Exception | None = None
        self._outside: list[nn.Module | None] = []
        self._tallies: list[_Hook] = []
        self._hooks: list[dict[int, Any]] = []

    def forward(self, x: torch.Tensor) -> None:
        for hooks in self._hooks:
            self._keep_one(hooks)
        try:
            with self.counter:
                self.network(x)
        except Exception as error:
            self.error = error

    def watch(self, module: nn.Module, stack: ExitStack, by_module: bool) -> None:
        """Until the end of `stack`, what thop does not do around every call of `module`."""
        told, counter = counts_itself(type(module)), self.counter
        self._hooks.append(module._forward_hooks)
        if not (told or by_module or rule_of(type(module))):
            return

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            counter.paused += told
            if by_module:
                self._outside.append(counter.within)
                counter.within = module
            return _positional(module, args, kwargs) if kwargs else None

        def leave(*_: Any) -> None:
            counter.within = self._outside.pop()

        stack.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
        if by_module:
            stack.callback(module.register_forward_hook(leave).remove)

    def tally(self, kind: type[nn.Module]) -> _Hook | None:
        """The forward hook for thop to count modules of that type by; None where none is needed."""
        counter, rule = self.counter, rule_of(kind)

        def told(module: Any, inputs: tuple[Any, ...], _: Any) -> None:
            counter.paused -= 1
            if not counter.paused:
                shares = module.own_macs(*inputs)
                self.named.update(shares)
                self.macs[module] += sum(shares.values())
                counter.macs[module] += sum(shares.values())

        def counted(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if rule is not None and not counter.paused:
                counter.paused += 1  # what a rule itself computes is no part of the network
                self.macs[module] += rule(module, inputs, output)
                counter.paused -= 1

        if rule is None and not counts_itself(kind):
            return None
        self._tallies.append(told if counts_itself(kind) else counted)
        return self._tallies[-1]

    def _keep_one(self, hooks: dict[int, Any]) -> None:
        """Of a module's forward hooks, drops thop's count of parameters, which takes as long as the
        pass, and all but the last of our own: a module that several others hold thop hooks once for
        each of them, and in the end it removes the last."""
        ours = [key for key, hook in hooks.items() if hook in self._tallies]
        for key in [key for key, hook in hooks.items() if hook is count_parameters] + ours[:-1]:
            del hooks[key]


def _positional(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same call with its arguments by position, the only ones that hooks of thop's see."""
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    return bound.args, bound.kwargs
