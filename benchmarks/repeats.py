"""Does training the front again tell luck from merit?

    python benchmarks/repeats.py --searches 300        # one core, about 10 s of it

Replays searches on the table of real trainings (benchmarks/table/hippocampus.json): each draws 24
networks, whose front is then trained again as a search does it, 0 to 6 times. More seeds than the
table's two are drawn from it: a network scatters about what is typical of it as the 21 networks
that are most like it in Dice do between their two seeds. Typical is the mean of both where these
are within 0.03 of each other; else the lower one failed, and as often it fails here.

Printed are, by the number of repeats: the chances that were said, in bins, beside the share of
these networks that were on the front by their mean (or median) over 300 seeds; and the true Dice,
that mean, of what `best-dice` and `knee` pick, with a gain and its standard error over a search
that trains as many candidates more instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from simulation.table import Network, load_table

from nas.pareto.front import front
from nas.pareto.front_chances import front_chances
from nas.pareto.pick import pick
from nas.pareto.result import Result

TABLE = Path(__file__).parent / "table" / "hippocampus.json"
OBJECTIVES = ("dice", "params")
CANDIDATES, SEEDS, ALIKE, FAILED = 24, 300, 20, 0.03
REPEATS = (0, 1, 2, 3, 4, 6)
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.001)


class Seeds:
    """Draws trainings of the networks of the table."""

    def __init__(self, networks: Sequence[Network]) -> None:
        dice = np.array([[curve[-1] for curve in network.curves] for network in networks])
        gaps = np.abs(dice[:, 0] - dice[:, 1])
        failed = gaps > FAILED
        self.typical = np.where(failed, dice.max(axis=1), dice.mean(axis=1))
        # (network, 2): how far two seeds are from what is typical.
        self.noise = np.where(failed, [0 * gaps, -gaps], [gaps / 2**0.5, -gaps / 2**0.5]).T

    def draw(self, place: int, generator: np.random.Generator) -> np.ndarray:
        """(SEEDS,) Dice of the network at this place of the table."""
        alike = np.argsort(np.abs(self.typical - self.typical[place]))[: ALIKE + 1]
        noise = generator.choice(self.noise[alike].ravel(), SEEDS)
        return np.clip(self.typical[place] + noise, 0.0, 1.0)


@dataclass
class Search:
    """One replayed search, and the Dice of its networks by seed, the first being the search's."""

    results: list[Result]
    seeds: dict[str, np.ndarray]

    def true_front(self, over: Callable[[np.ndarray], float]) -> set[str]:
        """The members by the mean, or the median, over all seeds."""
        true = [replace(r, dice=float(over(self.seeds[r.key]))) for r in self.results]
        return {member.key for member in front(true, OBJECTIVES)}

    def repeat(self) -> None:
        """As `FrontRepeats`: one more training of who has the fewest on the front."""
        members = front(self.results, OBJECTIVES)
        member = min(members, key=lambda m: (len(m.trainings) or 1, -(m.dice or 0.0), m.key))
        trainings = tuple(map(float, self.seeds[member.key][: 1 + (len(member.trainings) or 1)]))
        again = replace(member, trainings=trainings, dice=float(np.mean(trainings)))
        self.results = [again if r.key == again.key else r for r in self.results]

    def picked(self, name: str) -> float:
        """The true Dice of a pick, the mean over all seeds."""
        key = pick(front(self.results, OBJECTIVES), name, OBJECTIVES).key
        return float(self.seeds[key].mean())


def begin(networks: Sequence[Network], seeds: Seeds, seed: int, candidates: int) -> Search:
    """A search of so many networks, each trained once; a shorter one has the first of them."""
    generator = np.random.default_rng(seed)
    results, drawn = [], {}
    for place in generator.permutation(len(networks))[:candidates]:
        network = networks[place]
        dice = seeds.draw(int(place), np.random.default_rng([seed, int(place)]))
        drawn[network.key] = dice
        results.append(
            Result(
                number=len(results),
                space="hybrid",
                key=network.key,
                architecture=network.architecture,
                state="complete",
                dice=float(dice[0]),
                costs=network.costs,
            )
        )
    return Search(results, drawn)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=300)
    searches = parser.parse_args().searches
    networks = list(load_table(TABLE).networks.values())
    seeds = Seeds(networks)
    said: dict[int, list[tuple[float, bool, bool]]] = {repeats: [] for repeats in REPEATS}
    picks: dict[int, list[list[float]]] = {repeats: [] for repeats in REPEATS}
    for seed in range(searches):
        search = begin(networks, seeds, seed, CANDIDATES)
        mean, median = search.true_front(np.mean), search.true_front(np.median)
        for repeats in range(max(REPEATS) + 1):
            if repeats:
                search.repeat()
            if repeats not in REPEATS:
                continue
            chances = front_chances(search.results, OBJECTIVES)
            said[repeats] += [(c, key in mean, key in median) for key, c in chances.items()]
            longer = begin(networks, seeds, seed, CANDIDATES + repeats)
            names = ("best-dice", "knee")
            picks[repeats].append([s.picked(n) for n in names for s in (search, longer)])
    for place, truth in enumerate(("mean", "median"), 1):
        print(f"chance that was said / share on the front by the {truth} (networks)")
        for repeats, told in said.items():
            if told:
                print(f"{repeats} repeats: {' '.join(bins(np.array(told, float)[:, [0, place]]))}")
    print("true Dice of the pick after repeats (gain over as many candidates more)")
    for repeats, rows in picks.items():
        best, best_longer, knee, knee_longer = np.array(rows).T
        texts = f"best-dice {gain(best, best_longer)}  knee {gain(knee, knee_longer)}"
        print(f"{repeats} repeats: {texts}")


def gain(ours: np.ndarray, others: np.ndarray) -> str:
    """`0.8550 (+0.0010 ± 0.0004)`."""
    more = ours - others
    return f"{ours.mean():.4f} ({more.mean():+.4f} ± {more.std() / len(more) ** 0.5:.4f})"


def bins(told: np.ndarray) -> list[str]:
    """`0.72/0.68 (41)` for each bin; and the mean squared error."""
    chance, true = told.T
    texts = []
    for low, high in pairwise(BINS):
        within = (chance >= low) & (chance < high)
        if within.any():
            mean, share = chance[within].mean(), true[within].mean()
            texts.append(f"{mean:.2f}/{share:.2f} ({within.sum()})")
    return [*texts, f"Brier {np.mean((chance - true) ** 2):.3f}"]


if __name__ == "__main__":
    main()
