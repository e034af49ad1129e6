"""What networks may cost, by what similar ones do: to choose whom to count, and before that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge

from nas.study.samplers.architecture_sampler import Params
from nas.study.samplers.counted_network import CountedNetwork, log_costs
from nas.study.samplers.ehvi.features import KnobFeatures

COUNTED = ("params", "macs")
MEMORY = "memory"


def guess_work(
    params: Sequence[Params], counted: Sequence[CountedNetwork], features: KnobFeatures
) -> list[CountedNetwork]:
    """The networks of these parameters, with guesses of what is counted, by their knobs."""
    logs = log_costs(counted, COUNTED)
    x, _ = features.of(counted)
    knobs = features.matrix(params)
    told = 10 ** _fit(x, logs).predict(knobs)
    guessed = [
        CountedNetwork(each, "", dict(zip(COUNTED, costs, strict=True)))
        for each, costs in zip(params, told.tolist(), strict=True)
    ]
    if all(network.least is None for network in counted):
        return guessed
    shares = [(n.least or n.costs["macs"]) / n.costs["macs"] for n in counted]  # with no query
    least = np.minimum(10 ** _fit(x, np.log10(shares)).predict(knobs), 1.0)
    return [
        replace(network, least=network.costs["macs"] * share)
        for network, share in zip(guessed, least.tolist(), strict=True)
    ]


class MemoryModel:
    """Memory by the costs of the `trained`, and what those leave open by their knobs."""

    def __init__(self, trained: Sequence[CountedNetwork], features: KnobFeatures) -> None:
        self._features = features
        known = [network for network in trained if MEMORY in network.costs]
        self._knows = bool(known)
        if known:
            costs, knobs = self._inputs(known)
            memory = log_costs(known, [MEMORY])
            self._line = LinearRegression().fit(costs, memory)
            self._rest = _fit(knobs, memory - self._line.predict(costs))

    def complete(self, networks: Sequence[CountedNetwork]) -> list[CountedNetwork]:
        """The networks, with a guess where it is not known; as they are where it is of nobody."""
        if not self._knows:
            return list(networks)
        costs, knobs = self._inputs(networks)
        rest = self._rest.predict(knobs).reshape(-1, 1)
        guesses = 10 ** (self._line.predict(costs) + rest).ravel()
        return [
            replace(network, costs={MEMORY: guess, **network.costs})
            for network, guess in zip(networks, guesses.tolist(), strict=True)
        ]

    def _inputs(self, networks: Sequence[CountedNetwork]) -> tuple[np.ndarray, np.ndarray]:
        logs = log_costs(networks, COUNTED)
        return logs, self._features.of(networks)[0]


def _fit(x: np.ndarray, logs: np.ndarray) -> Ridge:
    return Ridge(alpha=0.1).fit(x, logs)
