"""How many cases train, choose and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.analysis.plan.choice import Choice
from nas.analysis.plan.data_survey import DataSurvey
from trainers.data.check.finding import Finding, refuse
from trainers.data.check.parts import check_parts
from trainers.data.config import Groups, Split
from trainers.data.splits import Cases, group_names, split_cases
from trainers.errors import UserError

VALIDATION, TEST = 0.2, 0.15
ENOUGH = 30  # groups, for a part that nothing may look at
DRAWS = 100  # that are tried


def choose_split(names: Sequence[str], groups: Groups | None) -> Choice[Split]:
    """A fifth for validation; from 30 groups on 15% for a test. Raises UserError for one group."""
    count = len(group_names(list(names), groups))
    if count < 2:
        raise UserError(
            f"{count} case cannot be split into training and validation; expected two or more"
        )
    unit = "patients" if groups else "cases"
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
        cases = split_cases(survey.names, drawn)
        findings = check_parts(survey.cases, survey.source.classes, cases)
        if not any(finding.fault for finding in findings):
            return replace(split, value=drawn), cases
        first = first or findings
    refuse(first, survey.source)
    raise AssertionError("there were faults")
