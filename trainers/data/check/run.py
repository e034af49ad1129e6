"""One pass over all volumes of a source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from trainers.atomic import replace_files
from trainers.data.check.facts import DataCheck, Progress
from trainers.data.check.finding import refuse, warn
from trainers.data.check.one_case import CaseCheck
from trainers.data.check.parts import check_parts
from trainers.data.dataset import Dataset
from trainers.data.memory import memory_of
from trainers.data.source import Case, DataSource
from trainers.processes import in_processes, processes_for
from trainers.volumes.settings import AffineRule


def examine(
    source: DataSource,
    progress: Progress | None = None,
    rule: AffineRule = "sform",
    expecting: str | None = None,
    finished: Path | None = None,
) -> DataCheck:
    """Read every volume once, and say what each case is and what is wrong with it.

    expecting: what says how many channels and classes there are, where it is not what lists the
    cases. finished: a folder for what was found of each case, which is not read again then.
    """
    described = Dataset.like(source, ())
    names = (f"checked/{number:05}.json" for number in range(len(source.cases)))
    files = [finished and finished / name for name in names]
    work = partial(_check_case, described, rule, expecting or source.described_by)
    jobs = list(zip(source.cases, files, strict=True))
    processes = processes_for([memory_of(case) for case in source.cases])
    checks = []
    for check in in_processes(work, jobs, processes):
        checks.append(check)
        if progress:
            progress(len(checks), len(jobs), "checked")
    return DataCheck(
        cases=tuple(one for check in checks for one in check.cases),
        findings=tuple(one for check in checks for one in check.findings),
    )


def _check_case(
    source: DataSource, rule: AffineRule, expecting: str, job: tuple[Case, Path | None]
) -> DataCheck:
    """One case, from its file where it was finished before."""
    case, file = job
    if file and file.exists():
        return DataCheck.model_validate_json(file.read_bytes())
    check = CaseCheck(source, case, expecting, rule)
    facts = check.read()
    found = DataCheck(cases=(facts,) if facts else (), findings=tuple(check.findings))
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_files({file: found.model_dump_json().encode()})
    return found


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
    warn([*check.findings, *check_parts(check.cases, source.targets)], source.folder)
