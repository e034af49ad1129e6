"""Networks as vectors, for models of Dice, latency and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.study.samplers.architecture_sampler import Params
from nas.study.samplers.counted_network import CountedNetwork
from nas.study.samplers.ladder import SCALE
from search_spaces.all_params import all_params
from search_spaces.fitting import nearest
from search_spaces.prior import usual_options
from search_spaces.space import Option, Restrictions, SearchSpace, path_pattern


class KnobFeatures:
    """Networks of a restricted space by their knobs; `prior` says what is usual, as for draws."""

    def __init__(
        self, space: SearchSpace, restrict: Restrictions, prior: Mapping[str, Option] | None = None
    ) -> None:
        pairs = dict.fromkeys(
            (path_pattern(path), option)
            for path, options in all_params(space.kind, restrict).items()
            if len(options) > 1
            for option in options
        )
        self._columns = {pair: column for column, pair in enumerate(pairs)}
        self._known: dict[str, tuple[Params, np.ndarray, float]] = {}  # rows, by a network's key
        self._usual = {
            name: nearest(option, restrict.get(name, (option,)))
            for name, option in usual_options(space, prior).items()
            if name not in SCALE
        }

    def of(self, networks: Sequence[CountedNetwork]) -> tuple[np.ndarray, np.ndarray]:
        """(n, d) and (n,): `matrix` and `departures` of the networks, each of which is read once:
        a proposal looks at all that were trained, ten thousand in a large search."""
        rows = [self._row(network) for network in networks]
        knobs = np.zeros((len(rows), len(self._columns)))
        for place, (row, _) in enumerate(rows):
            knobs[place] = row
        return knobs, np.array([departures for _, departures in rows], dtype=float)

    def _row(self, network: CountedNetwork) -> tuple[np.ndarray, float]:
        params, key = network.params, network.key
        known = self._known.get(key)
        if known is None or not (known[0] is params or known[0] == params):
            row = self.matrix([params])[0].astype(np.uint16)
            known = params, row, float(self.departures([params])[0])
            if key:  # a guessed network has none
                self._known[key] = known
        return known[1:]

    def departures(self, params: Sequence[Params]) -> np.ndarray:
        """(n,) how many knobs, in all parts of a network, are not at their usual options.

        Those do not count that make it larger and nothing else: costs tell of them.
        """
        usual = self._usual
        found = [
            sum(usual.get(path_pattern(path), option) != option for path, option in chosen.items())
            for chosen in params
        ]
        return np.array(found, dtype=float)

    def matrix(self, params: Sequence[Params]) -> np.ndarray:
        """(n, d) of n networks: one column an option of every knob, how often a network has it."""
        knobs = np.zeros((len(params), len(self._columns)))
        for row, chosen in enumerate(params):
            for path, option in chosen.items():
                if (column := self._columns.get((path_pattern(path), option))) is not None:
                    knobs[row, column] += 1.0
        return knobs
