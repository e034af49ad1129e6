"""The whole of a plan: look at the data, measure a little, choose, and write down why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from nas.analysis.plan.choice import coarse
from nas.analysis.plan.configuration import configuration_tree
from nas.analysis.plan.data_survey import hand_over, survey_data
from nas.analysis.plan.deadline import Deadline, default_hours
from nas.analysis.plan.machine import look_at_machine
from nas.analysis.plan.measure import Bench
from nas.analysis.plan.plan_search import plan_search
from nas.analysis.plan.plan_step import plan_step
from nas.analysis.plan.preprocessing import choose_preprocessing
from nas.analysis.plan.sample import prepared_sample
from nas.analysis.plan.share_gpu import share_gpu
from nas.analysis.plan.split import plan_split
from nas.analysis.plan.summary import summary_lines
from nas.analysis.plan.write_yaml import commented_yaml, plain
from nas.analysis.preview.parallel import preloaded
from nas.config.run_config import RunConfig
from trainers.data.check.facts import Progress
from trainers.data.source import SourceConfig

PLANNING = 60.0  # seconds of what is measured after the data were read


@dataclass(frozen=True)
class Plan:
    """A configuration, its keys with their reasons, and what it comes to, in a few lines."""

    config: RunConfig
    tree: Mapping[str, Any]
    lines: Sequence[str]

    def to_yaml(self, command: str) -> str:
        """The file that a person reads and changes; `command` is what runs it."""
        return commented_yaml(self.tree, [command, *self.lines])


def make_plan(
    source: SourceConfig, name: str, workdir: Path, hours: float | None, progress: Progress
) -> Plan:
    """A search on these data and this machine that ends within `hours`, preparation included.

    `workdir`: the folder of the search, which keeps what was read. Raises UserError for data that
    no search can use.
    """
    preloaded()  # imports while the data are read
    began = monotonic()
    machine = look_at_machine()
    survey = survey_data(source, workdir, progress)
    split, groups, cases = plan_split(survey)
    preprocess = choose_preprocessing(survey, cases, progress)
    hand_over(survey.source, source, preprocess.value, workdir)
    with prepared_sample(survey, preprocess.value, workdir, progress) as sample:
        before = coarse(sample.seconds) + coarse(monotonic() - began + PLANNING)
        deadline = Deadline(default_hours(machine) if hours is None else hours, before)
        bench = Bench(sample, machine.resources, progress)
        step = plan_step(survey, preprocess.value, bench, machine, deadline)
        machine, step = share_gpu(machine, step, bench)
        bench = replace(bench, resources=machine.resources)
        search = plan_search(step, len(cases.validation), bench, machine, deadline)
    portable = source.portable()
    tree = configuration_tree(name, portable, preprocess, split, groups, step, search, machine)
    lines = list(summary_lines(survey, split.value, cases, machine, step, search, deadline))
    return Plan(RunConfig.model_validate(plain(tree)), tree, lines)
