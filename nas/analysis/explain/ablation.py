"""A network evaluated again with each of its mechanisms replaced."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import t as student
from torch import nn

from nas.analysis.explain.probe import Item, Probe, Values
from nas.cost.mac_counts import positional
from trainers.data.check.facts import Progress
from trainers.data.source import Case
from trainers.errors import UserError
from trainers.metrics import case_means, dice_per_class
from trainers.segmenter import Segmenter
from trainers.volumes.nifti import load_labels

Mean = torch.Tensor | Mapping[str, float]
Means = Mapping[tuple[str, str], Mean]
"""By module name and mechanism: the mean points (K, axes), or a number for each name."""

SEED = 0  # of random replacements
CONFIDENCE = 0.95
DIGITS = 4  # of Dice: a change below is none


@dataclass(frozen=True)
class Replacement:
    """What is put in the place of a mechanism."""

    mechanism: str
    by: str


@dataclass(frozen=True)
class Difference:
    """Of Dice with the replacement, less that without, over patients.

    `error`: the standard error of `mean`, None of a single patient; `low` and `high`: the 95%
    interval by Student's t, with as many degrees of freedom as there are patients but one.
    `worse`: how many patients lose Dice, at least half of its fourth digit. `unit`: what was
    counted, `case` where nothing says which cases are one patient's.
    """

    mean: float
    error: float | None
    low: float | None
    high: float | None
    patients: int
    worse: int
    unit: Literal["patient", "case"] = "patient"


@dataclass
class MeansShown:
    """Collects the means of what a network shows while it runs, over all cases alike."""

    _points: dict[tuple[str, str], list[torch.Tensor]] = field(default_factory=dict)
    _maps: dict[tuple[str, str], dict[str, list[tuple[float, int]]]] = field(default_factory=dict)

    @contextmanager
    def of(self, network: nn.Module) -> Iterator[None]:
        """Watch `network` within."""
        with (
            Probe(network) as probe,
            network.register_forward_hook(lambda *_: self._add(probe.take())),
        ):
            yield

    def means(self) -> Means:
        """Of all passes so far."""
        points: dict[tuple[str, str], Mean] = {
            key: torch.cat(values).mean(0) for key, values in self._points.items()
        }
        maps: dict[tuple[str, str], Mean] = {
            key: {
                name: sum(total for total, _ in sums) / sum(count for _, count in sums)
                for name, sums in by_name.items()
            }
            for key, by_name in self._maps.items()
        }
        return {**points, **maps}

    def _add(self, shown: Mapping[Item, Values]) -> None:
        for item, values in shown.items():
            key = item.module, item.mechanism
            if isinstance(values, torch.Tensor):
                self._points.setdefault(key, []).append(values.cpu().clone())
                continue
            by_name = self._maps.setdefault(key, {})
            for name, cells in values.items():
                sums = by_name.setdefault(name, [])
                sums.append((float(cells.double().sum()), cells.numel()))


def replacements_of(network: nn.Module) -> list[Replacement]:
    """All that the network's modules offer, in the order in which they were built."""
    found: dict[Replacement, None] = {}
    for _, mechanism, offered in _offered(network):
        found.update(dict.fromkeys(Replacement(mechanism, by) for by in offered))
    return list(found)


@contextmanager
def replaced(
    network: nn.Module,
    what: Replacement,
    means: Means,
    told: Callable[[Any, Any], object] = lambda old, new: None,
) -> Iterator[None]:
    """Within, all modules with this mechanism give what the replacement gives in their place.

    `told` is called with both outputs of every call.
    """
    with ExitStack() as hooks:
        for name, mechanism, offered in _offered(network):
            if mechanism == what.mechanism and what.by in offered:
                give = partial(_give, offered[what.by], means.get((name, mechanism)), told)
                module = network.get_submodule(name)
                hooks.enter_context(module.register_forward_hook(give, with_kwargs=True))
        yield


def dice_of_cases(
    segmenter: Segmenter, cases: Sequence[Case], progress: Progress, doing: str
) -> np.ndarray:
    """(cases,): each one's mean Dice over its classes, as `segnas evaluate` has it; NaN without.

    Raises UserError where no case has one.
    """
    targets = segmenter.task.targets
    scores = []
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for done, case in enumerate(cases, start=1):
            pair = targets.without_ignored(segmenter.segment(case.image), load_labels(case.label))
            scores.append(dice_per_class(*pair, len(targets.classes), targets.groups))
            progress(done, len(cases), doing)
    means = case_means(np.stack(scores))
    if np.isnan(means).all():
        raise UserError(
            "no case has a class, in its labels or in what the network finds: there is no Dice to "
            "compare; leave --ablate out, or give other cases"
        )
    return means


def difference(
    names: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
    patients: Sequence[Sequence[str]],
    unit: Literal["patient", "case"] = "patient",
) -> Difference:
    """Paired, a patient's cases averaged first. before, after: (cases,) of `names`."""
    change = dict(zip(names, after - before, strict=True))
    of_patients = ([c for name in one if not math.isnan(c := change[name])] for one in patients)
    values = np.array([np.mean(changes) for changes in of_patients if changes])
    n = len(values)
    mean, worse = (float(values.mean()) if n else math.nan), int((values.round(DIGITS) < 0).sum())
    if n < 2:
        return Difference(mean, None, None, None, n, worse, unit)
    error = float(values.std(ddof=1) / math.sqrt(n))
    reach = error * float(student.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Difference(mean, error, mean - reach, mean + reach, n, worse, unit)


def _offered(network: nn.Module) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Module name, mechanism, and its replacements by name."""
    for name, module in network.named_modules():
        if hasattr(module, "replacements"):
            for mechanism, offered in module.replacements().items():
                yield name, mechanism, offered


def _give(
    replace: Callable[[tuple[Any, ...], Any, Mean | None], Any],
    mean: Mean | None,
    told: Callable[[Any, Any], object],
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    output: Any,
) -> Any:
    new = replace(positional(module, args, kwargs)[0] if kwargs else args, output, mean)
    told(output, new)
    return new
