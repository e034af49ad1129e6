"""Configurations of searches: of one that takes seconds, and of one with the usual keys."""

from nas.config.run_config import RunConfig


def config(search=None, **changes):
    """A small run without early stopping and warm starts, unless `search` has them."""
    values = {
        "search": {"early_stopping": None, "warm_start": [], **(search or {})},
        "name": "test",
        "data": {"source": "phantom", "cases": 4, "shape": [24, 24, 24], "organs": 3},
        "space": {"restrict": {"width": [4], "levels": [3], "anchors": [0]}},
        "train": {"patch": [24, 24, 24], "epochs": 3, "steps_per_epoch": 2, "batch": 1},
        "latency": {"warmup": 0, "repeats": 3},
        "tracking": {"enabled": False},
    }
    return RunConfig.model_validate({**values, **changes})


def plain_run(**changes):
    """A run on phantoms; what is not changed has its default."""
    values = {"name": "test", "data": {"source": "phantom"}, "train": {"patch": [32, 32, 32]}}
    return RunConfig.model_validate({**values, **changes})
