"""How networks that share weights are trained together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trainers.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class SupernetRecipe(Strict):
    """The sandwich rule (Yu 2020, BigNAS, Sec. 3.1) and what goes with it.

    A step trains the largest network, the smallest and `random` drawn ones. `first`: share of the
    epochs in which the largest is trained alone. `teacher`: share that the largest's logits,
    detached, have in the loss of the others, at the `temperature`; labels have the rest. `surgery`:
    what in the largest's gradient of a parameter opposes that of the others is left out (NASViT,
    Gong 2022, Eq. 3).
    """

    random: Annotated[int, Field(ge=0)] = 2
    first: Annotated[float, Field(ge=0, lt=1)] = 0.0
    teacher: Share = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    surgery: bool = False

    @property
    def networks(self) -> int:
        """How many networks a step trains, but for the epochs of the largest alone."""
        return 2 + self.random
