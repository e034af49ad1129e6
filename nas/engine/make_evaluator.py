"""The evaluator that a configuration names: the one that is here, or one that a package offers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nas.config.offered import load_offered, refuse_booleans
from nas.engine.evaluator import Evaluator
from trainers.config import TrainConfig
from trainers.errors import UserError

ENTRY_POINTS = "segnas.evaluators"  # the group in which other packages offer evaluators
TRAINING = "training"  # the evaluator that is here

Make = Callable[..., Evaluator]
"""`make(train=TrainConfig, seed=int, device="cpu" or "cuda", **arguments)`."""


def make_evaluator(
    named: str | Mapping[str, Any], train: TrainConfig, seed: int, device: str
) -> Evaluator:
    """The evaluator that `search.evaluator` names, with the arguments that it gives.

    Raises UserError for an unknown name and for arguments that it does not take.
    """
    arguments = dict(named) if isinstance(named, Mapping) else {"name": named}
    name = arguments.pop("name", None)
    try:
        make = _find(name)
        takes = inspect.signature(make).parameters
        annotations = {key: str(parameter.annotation) for key, parameter in takes.items()}
        refuse_booleans("search.evaluator", arguments, annotations)
        return make(train=train, seed=seed, device=device, **arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"search.evaluator: {name} cannot be made: {error}") from error


def _find(name: object) -> Make:
    from nas.engine.train_from_scratch import TrainFromScratch

    if name == TRAINING:
        return TrainFromScratch
    make: Make = load_offered(ENTRY_POINTS, "search.evaluator", name, [TRAINING])
    return make
