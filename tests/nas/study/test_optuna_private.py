"""The private parts of Optuna that are read: without them what is here would change nothing."""

import inspect

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage

from nas.study.journal import Journal
from nas.study.optuna_private import PartOfStudy, lines_read


def test_optunas_tpe_reads_trials_by_the_method_that_is_overridden():
    study = optuna.create_study(sampler=TPESampler(seed=0))
    study.optimize(lambda trial: trial.suggest_int("x", 0, 9), n_trials=12)
    read = []

    class Noting(PartOfStudy):
        def _get_trials(self, *arguments, **named):
            read.append(super()._get_trials(*arguments, **named))
            return read[-1]

    running = study.ask()
    part = Noting(study, study.trials[:3])
    space = {"x": study.trials[0].distributions["x"]}
    study.sampler.sample_independent(part, study.trials[-1], "x", space["x"])
    assert running.number == 12
    assert read and all(len(trials) <= 3 for trials in read)


def test_a_journal_counts_the_lines_that_it_read(tmp_path):
    journal = Journal(tmp_path / "journal.log")
    optuna.create_study(storage=JournalStorage(journal)).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    lines = (tmp_path / "journal.log").read_text().splitlines()
    assert len(list(journal.read_logs(0))) == len(lines)
    assert lines_read(journal) == len(lines) + 1  # and where the next one begins


def test_the_overridden_method_has_the_same_parameters():
    ours, theirs = (
        inspect.signature(kind._get_trials).parameters for kind in (PartOfStudy, optuna.Study)
    )
    assert list(ours) == list(theirs)
