"""What networks may cost, by what similar ones do: to choose whom to count, and before that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge

from nas.study.samplers.architecture_sampler import Params
from nas.study.samplers.counted_network import CountedNetwork
from nas.study.samplers.ehvi.features import KnobFeatures

COUNTED = ("params", "macs")
MEMORY = "memory"


def guess_work(
    params: Sequence[Params], counted: Sequence[CountedNetwork], features: KnobFeatures
) -> list[CountedNetwork]:
    """The networks of these parameters, with guesses of what is counted, by their knobs."""
    logs = np.array([network.log_costs(COUNTED) for network in counted])
    x = features.matrix([network.params for network in counted])
    told = 10 ** _fit(x, logs).predict(features.matrix(params))
    return [
        CountedNetwork(each, "", dict(zip(COUNTED, costs, strict=True)))
        for each, costs in zip(params, told.tolist(), strict=True)
    ]


def guess_memory(
    networks: Sequence[CountedNetwork], trained: Sequence[CountedNetwork], features: KnobFeatures
) -> list[CountedNetwork]:
    """The networks, with a guess of their memory where it is not known: by their costs, and what
    those leave open by their knobs. As they are where the memory of nobody is known.
    """
    known = [network for network in trained if MEMORY in network.costs]
    if not known:
        return list(networks)
    costs, knobs = _costs_and_knobs(known, features)
    memory = np.array([network.log_costs([MEMORY]) for network in known])
    line = LinearRegression().fit(costs, memory)
    rest = _fit(knobs, memory - line.predict(costs))
    costs, knobs = _costs_and_knobs(networks, features)
    guesses = 10 ** (line.predict(costs) + rest.predict(knobs).reshape(-1, 1)).ravel()
    return [
        replace(network, costs={MEMORY: guess, **network.costs})
        for network, guess in zip(networks, guesses.tolist(), strict=True)
    ]


def _costs_and_knobs(
    networks: Sequence[CountedNetwork], features: KnobFeatures
) -> tuple[np.ndarray, np.ndarray]:
    logs = np.array([network.log_costs(COUNTED) for network in networks])
    return logs, features.matrix([network.params for network in networks])


def _fit(x: np.ndarray, logs: np.ndarray) -> Ridge:
    return Ridge(alpha=0.1).fit(x, logs)
