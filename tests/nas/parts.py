"""The parts of a search as tests make them, from a whole configuration."""

from nas.config.data_space import space_for
from nas.engine.evaluator import Workspace
from nas.engine.trial_files import TrialFiles
from nas.search.components import evaluator, study_settings
from nas.search.search_budget import SearchBudget
from nas.search.session import Session
from nas.search.time_account import TimeAccount
from nas.search.trial_judge import TrialJudge
from nas.study.samplers import warm_start
from nas.study.samplers.warm_start import place_warm_starts
from nas.study.study import Study
from nas.study.training_cost import TrainingCosts
from trainers.inference import no_pause


def open_study(directory, run, costs, **options):
    """The study of the search in `directory`."""
    return Study.open(directory, study_settings(run, data_space(run)), costs, **options)


def data_space(run):
    """The space for voxels that are alike along all axes."""
    return space_for(run.space, None, run.train.patch)


def training_costs(run, channels, classes):
    """What counts the costs of candidates."""
    return TrainingCosts(run.train, run.resources, run.budget, channels, classes)


def placed_starts(run):
    """The warm starts in the space, before there are data."""
    return place_warm_starts(run.search.warm_start, data_space(run))


def warm_starts(run, channels, classes):
    """The warm starts within the budget."""
    costs = training_costs(run, channels, classes)
    return warm_start.warm_starts(run.search, data_space(run), costs)


def make_session(study, run, directory, slots, queue, callbacks=(), repeats=None, **clock):
    """A session of `slots` trials."""
    return Session(
        study,
        queue,
        SearchBudget(run.search, run.train),
        TrialJudge(run.search, run.train, run.objectives, study.results, study.starts),
        TrialFiles(directory, run.search.stall_minutes),
        TimeAccount(slots, **clock),
        retries=run.search.retries,
        repeats=repeats,
        callbacks=callbacks,
    )


def start_training(architecture, run, cache, cases, checkpoint):
    """The evaluation of one architecture as the run trains it."""
    training = evaluator(run)
    training.prepare(Workspace(checkpoint.parent, cache, cases, no_pause))
    return training.start(architecture, checkpoint)
