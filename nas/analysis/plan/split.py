"""How many cases train, choose and test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nas.analysis.plan.choice import Choice
from nas.analysis.plan.data_survey import DataSurvey
from nas.analysis.plan.groups import choose_groups
from trainers.data.check.finding import Finding, refuse
from trainers.data.check.parts import check_parts
from trainers.data.config import Groups, OwnSplit, Split
from trainers.data.source import DataSource
from trainers.data.source_split import groups_of, own_splits, split_source
from trainers.data.splits import Cases, group_names
from trainers.errors import UserError

VALIDATION, TEST = 0.2, 0.15
ENOUGH = 30  # groups, for a part that nothing may look at
DRAWS = 100  # that are tried


def plan_split(
    survey: DataSurvey,
) -> tuple[Choice[Split] | Choice[OwnSplit], Choice[Groups | None], Cases]:
    """The split that the data bring, its first fold; else a drawn one. With groups and the parts.

    Raises UserError for a split of the data that a search refuses, and as `draw_cases` does.
    """
    source = survey.source
    own, drawn, groups = own_or_drawn(source)
    if drawn:
        chosen, cases = draw_cases(survey, drawn)
        return chosen, groups, cases
    assert own
    cases = split_source(source, own.value)
    refuse(check_parts(survey.cases, source.targets, cases), source)
    return own, groups, cases


def own_or_drawn(
    source: DataSource,
) -> tuple[Choice[OwnSplit] | None, Choice[Split] | None, Choice[Groups | None]]:
    """The split that the data bring, its first fold, or else one that is to be drawn. With groups.

    Raises UserError where none can be drawn.
    """
    names, own_groups = [case.name for case in source.cases], groups_of(source.cases)
    groups = choose_groups(names)
    if own_groups:
        groups = Choice(None, f"{source.described_by} says which cases stay together")
    if not (count := own_splits(source.cases)):
        return None, choose_split(names, groups.value, own_groups), groups
    folds = f"the first of its {count} folds" if count > 1 else "its own parts"
    own = OwnSplit(fold=0, groups=groups.value)
    return Choice(own, f"of {source.described_by}: {folds}"), None, groups


def choose_split(
    names: Sequence[str], groups: Groups | None, own_groups: Mapping[str, str] | None = None
) -> Choice[Split]:
    """A fifth for validation; from 30 groups on 15% for a test. Raises UserError for one group.

    `own_groups`: case -> group where the data say so, and `groups` are None.
    """
    count = len(group_names(list(names), groups or own_groups))
    one, unit = ("patient", "patients") if groups or own_groups else ("case", "cases")
    if count < 2:
        raise UserError(
            f"{count} {one} cannot be split into training and validation; expected two or more"
        )
    if count >= ENOUGH:
        why = f"of {count} {unit}; a part that neither search nor retraining reads"
        return Choice(Split(validation=VALIDATION, test=TEST, groups=groups), why)
    why = f"{count} {unit} are too few for one; `segnas retrain --folds` tells more"
    return Choice(Split(validation=VALIDATION, groups=groups), why)


def draw_cases(survey: DataSurvey, split: Choice[Split]) -> tuple[Choice[Split], Cases]:
    """The split with the first seed of whose parts no search refuses one, and these parts.

    A part without foreground is refused, and one image in two parts. Raises UserError, that of the
    first seed, where every draw is.
    """
    first: list[Finding] = []
    for seed in range(DRAWS):
        drawn = split.value.model_copy(update={"seed": seed})
        cases = split_source(survey.source, drawn)
        findings = check_parts(survey.cases, survey.source.targets, cases)
        if not any(finding.fault for finding in findings):
            return replace(split, value=drawn), cases
        first = first or findings
    refuse(first, survey.source)
    raise AssertionError("there were faults")
