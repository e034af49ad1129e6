"""Additions to training that its configuration does not hold: terms of the loss, processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from trainers.parallel import ALONE, Worker


@dataclass(frozen=True, kw_only=True)
class Refinements:
    """What the training of a chosen network adds to that of a search.

    `worker`: this process among several. `terms`: modules that change the loss, see `TrainingPass`;
    their parameters are trained with the network's, and are not saved for use.
    """

    terms: Sequence[nn.Module] = ()
    worker: Worker = ALONE


NO_REFINEMENTS = Refinements()
