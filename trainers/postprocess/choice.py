"""What was chosen for a class, and what it was worth."""

from __future__ import annotations

from dataclasses import dataclass

from trainers.volumes.steps import Steps


@dataclass(frozen=True)
class Quality:
    """Means over the cases. A class that one segmentation alone has counts as Dice 0 and as far
    away as the volume is long, from corner to corner; in neither it is perfect."""

    dice: float
    hd95_mm: float


@dataclass(frozen=True)
class Choice:
    """The steps of a class, and its quality without and with them."""

    steps: Steps
    before: Quality
    after: Quality
