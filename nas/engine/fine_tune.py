"""The evaluator that trains each network on from weights that it inherits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from nas.engine.train_from_scratch import TrainFromScratch, Training
from nas.export.shared_weights import SharedWeights
from search_spaces.space import Architecture
from trainers.config import TrainConfig

if TYPE_CHECKING:
    from search_spaces.supernet import Supernet


@dataclass
class FineTune(TrainFromScratch):
    """Every candidate begins with its weights of the trained supernet, and gets the schedule of
    `train`; a baseline, which the supernet does not know, gets new weights and that of `whole`.

    Another `seed` has other patches, and the same weights to begin with.
    """

    shared: SharedWeights = field(kw_only=True)
    whole: TrainConfig = field(kw_only=True)
    _supernet: Supernet | None = field(default=None, init=False)

    def start(self, architecture: Architecture, checkpoint: Path) -> Training:
        """Train the architecture; what the file `checkpoint` holds is gone on from."""
        if self.shared.knows(architecture):
            return super().start(architecture, checkpoint)
        scratch = TrainFromScratch(self.whole, self.seed, self.device, self.on_memory)
        scratch.workspace = self.workspace
        return scratch.start(architecture, checkpoint)

    def network(self, architecture: Architecture, channels: int, classes: int) -> nn.Module:
        """The one that is cut out of the supernet."""
        if self._supernet is None:
            self._supernet = self.shared.open()
        torch.manual_seed(self.seed)  # of what is drawn in training, dropout for one
        return self._supernet.cut(architecture)
