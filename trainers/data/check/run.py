"""One pass over all volumes of a source."""

from __future__ import annotations

from trainers.data.check.facts import DataCheck, Progress
from trainers.data.check.finding import refuse, warn
from trainers.data.check.one_case import CaseCheck
from trainers.data.check.parts import check_parts
from trainers.data.source import DataSource
from trainers.volumes.settings import AffineRule


def examine(
    source: DataSource,
    progress: Progress | None = None,
    rule: AffineRule = "sform",
    expecting: str | None = None,
) -> DataCheck:
    """Read every volume once, and say what each case is and what is wrong with it.

    expecting: what says how many channels and classes there are, where it is not what lists the
    cases.
    """
    facts, findings = [], []
    for done, case in enumerate(source.cases, start=1):
        check = CaseCheck(source, case, expecting or source.described_by, rule)
        if known := check.read():
            facts.append(known)
        findings += check.findings
        if progress:
            progress(done, len(source.cases), "checked")
    return DataCheck(cases=tuple(facts), findings=tuple(findings))


def check_dataset(
    source: DataSource,
    progress: Progress | None = None,
    rule: AffineRule = "sform",
    expecting: str | None = None,
) -> None:
    """Read every volume once. Raises one UserError that lists all that cannot be used.

    Warns, in one warning, of what is doubtful. expecting: as in `examine`.
    """
    check = examine(source, progress, rule, expecting)
    refuse(check.findings, source, expecting)
    warn([*check.findings, *check_parts(check.cases, source.classes)], source.folder)
