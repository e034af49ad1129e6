"""The folder of a small search that has ended, without training anything."""

import io
import json
from pathlib import Path

from rich.console import Console

from nas.config.yaml_file import write_config
from nas.search.resync import sync_search
from nas.study.study import Study
from tests.nas.parts import open_study
from tests.nas.small_run import plain_run
from trainers.data.task import Task

# Dice and parameters: the first, second and fourth are the front, the third is behind the second.
ENDS = [(0.70, 1_000), (0.80, 2_000), (0.75, 3_000), (0.90, 40_000), (None, 5_000)]
FRONT = [(0.70, 1_000), (0.80, 2_000), (0.90, 40_000)]


def ended_search(directory: Path, ends=ENDS, **changes) -> Study:
    """Write what a search leaves in `directory`; a Dice of None is a candidate stopped early."""
    values = {
        "name": "small_search",
        "space": {"restrict": {"levels": [3], "anchors": [0]}},
        "train": {"patch": [24, 24, 24], "epochs": 3},
        "objectives": ["dice", "params"],
        "search": {"sampler": "random", "trials": 5},
    }
    config = plain_run(**{**values, **changes})
    params = iter([cost for _, cost in ends])
    study = open_study(directory, config, lambda _: {"params": next(params), "macs": 10**6})
    for dice, _ in ends:
        candidate = study.ask()
        study.tell(
            candidate.result(state="stopped", reason="stopped after 1 of 3 epochs", epochs=1,
                             curve=(0.2,))
            if dice is None
            else candidate.result(
                state="complete", dice=dice, dice_per_class={"organ": dice}, epochs=3,
                curve=(0.1, 0.4, dice),
            )
        )  # fmt: skip
    write_config(config, directory / "config.yaml")
    task = {"channels": 1, "classes": ("background", "organ"), "spacing": None}
    Task(**task, patch=(24, 24, 24)).write(directory)
    (directory / "split.json").write_text(
        json.dumps({"training": ["a"], "validation": ["b"], "test": []})
    )
    return study


def tracked_search(directory: Path, **changes) -> Study:
    """The same with its front's files and its records in MLflow."""
    study = ended_search(directory, **changes)
    assert sync_search(directory, Console(file=io.StringIO())) == 0
    return study
