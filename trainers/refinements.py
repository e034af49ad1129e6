"""What the training of a chosen network may have besides that of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from trainers.parallel import ALONE, Worker


@dataclass(frozen=True, kw_only=True)
class Refinements:
    """`ema`: the decay of `weight_average`, 0 for none. `worker`: this process among several.

    `terms`: modules that change the loss, one after the other, called with (loss, images, logits,
    labels), see `TrainingPass`. Their parameters are trained with the network's, and are no part
    of its weights.
    """

    ema: float = 0.0
    terms: Sequence[nn.Module] = ()
    worker: Worker = ALONE


NO_REFINEMENTS = Refinements()
