"""All that a report tells of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.cost.latency import Conditions
from nas.pareto.front import front
from nas.pareto.objectives import COSTS
from nas.pareto.result import Result
from nas.study.folder_lock import alone_in
from nas.study.knob_importance import Importance, importances
from nas.study.search_folder import journal_in
from nas.study.stored_results import read_records
from nas.study.summary import read_summary
from trainers.data.task import Task


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A search: `results` in the order of the journal, `members` of the front from small to large,
    `starts` the names of warm starts by key, `classes` without the background, `summary` of the
    session that ended it, if one did."""

    id: str
    config: RunConfig
    task: Task
    results: tuple[Result, ...]
    members: tuple[Result, ...]
    starts: Mapping[str, str]
    importances: tuple[Importance, ...]
    summary: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """What is segmented."""
        return tuple(self.task.classes[1:])

    @property
    def states(self) -> Counter[str]:
        """How many candidates ended how."""
        return Counter(result.state for result in self.results)

    @property
    def costs(self) -> list[str]:
        """The costs among the objectives."""
        return [cost for cost in COSTS if cost in self.config.objectives]

    @property
    def known_costs(self) -> list[str]:
        """The costs that some member has a number for."""
        return [c for c in COSTS if any(c in m.costs for m in self.members)]

    @property
    def conditions(self) -> str | None:
        """Under which the latencies were measured, if they were."""
        told = next((m.latency["conditions"] for m in self.members if m.latency), None)
        return Conditions.from_json(told).text() if told else None


def gather(directory: Path) -> Facts:
    """Read the search in `directory`.

    Raises UserError for a folder that is no search, or that a search is running in.
    """
    directory = directory.resolve()
    journal_in(directory)
    with alone_in(directory):
        config = read_config(RunConfig, directory / "config.yaml")
        records = read_records(directory, config.space.name, config.budget)
        task = Task.read(directory)
    objectives = config.objectives
    return Facts(
        id=records.id,
        config=config,
        task=task,
        results=tuple(records.results),
        members=tuple(front(records.results, objectives)),
        starts=records.starts,
        importances=tuple(importances(records.results, objectives, config.space.space())),
        summary=read_summary(directory),
    )
