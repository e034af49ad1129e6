"""Which cases are of one patient, and what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nas.analysis.plan.choice import Choice
from trainers.data.config import Groups
from trainers.data.patient_names import groups_by_name
from trainers.data.splits import group_of

HOW = (
    "to keep scans of one patient together, write what captures the patient, "
    r"{pattern: '(pat\d+)_'}, or {pattern: '(\d+)', size: 2} to keep 1 and 2, 3 and 4, ... together"
)


def choose_groups(names: Sequence[str]) -> Choice[Groups | None]:
    """What `groups_by_name` finds, and the reason: how many patients there are, or what to do."""
    if groups := groups_by_name(names):
        return Choice(groups, _told(Counter(group_of(name, groups) for name in names)))
    return Choice(None, f"the names suggest no patients with several cases; {HOW}")


def _told(patients: Counter[str]) -> str:
    several = [name for name, cases in patients.items() if cases > 1]
    return (
        f"{len(patients)} patients by the names, {len(several)} with several cases, such as "
        f"{several[0]}; the cases of one stay in one part"
    )
