"""What the run of a whole search in MLflow says of its configuration."""

from __future__ import annotations

from nas.config.run_config import RunConfig
from nas.config.yaml_file import config_yaml
from nas.tracking import Search
from nas.tracking.store import without_password


def search_info(config: RunConfig, search_id: str, running: bool = True) -> Search:
    """The record of the search that `search_id` names."""
    return Search(
        id=search_id,
        name=config.name,
        config_yaml=without_password(config_yaml(config)),  # all who see the run read it
        params={
            "space": config.space.name,
            "sampler": config.search.sampler,
            "trials": config.search.trials,
            "epochs": config.train.epochs,
            "objectives": ", ".join(config.objectives),
            "seed": config.seed,
        },
        objectives=config.objectives,
        validate_every=config.train.validate_every,
        running=running,
    )
