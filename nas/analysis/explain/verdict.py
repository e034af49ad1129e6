"""Whether a mechanism earns its cost, in words."""

from __future__ import annotations

from dataclasses import dataclass

from nas.analysis.explain.ablation import Difference, Replacement


@dataclass(frozen=True)
class Ablated:
    """A mechanism replaced: what that does to Dice, and what it would do to the network's cost.

    `dice`: the mean over cases. `own_macs`: of the mechanism, of one patch; `macs`, `macs_before`:
    of the network with the replacement, and as it is.
    """

    what: Replacement
    dice: float
    difference: Difference
    own_macs: int
    macs: int
    macs_before: int

    @property
    def saved(self) -> float:
        """The share of MACs that the mechanism saves: positive where the network without it would
        compute more."""
        return (self.macs - self.macs_before) / self.macs

    @property
    def verdict(self) -> str:
        """By whether the 95% interval of the difference holds 0."""
        seen = self.difference
        if seen.low is None or seen.high is None:
            return f"a single {seen.unit} tells nothing"
        if self.saved > 0:
            return _of_saving(seen.low, seen.high, f"saves {100 * self.saved:.2g}% of MACs")
        if seen.high < 0:
            return "earns its cost"
        if seen.low > 0:
            return "does harm"
        if seen.low == seen.high == 0:
            return "changes nothing"
        return "no difference seen"


def _of_saving(low: float, high: float, saves: str) -> str:
    """low, high: of what Dice would gain without the saving."""
    if low > 0:
        return f"{saves}, and costs Dice"
    return f"{saves}, and gains Dice" if high < 0 else f"{saves} for no Dice that is seen"
