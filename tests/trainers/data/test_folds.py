import pytest

from trainers.data.config import Groups
from trainers.data.folds import make_folds
from trainers.data.splits import Cases
from trainers.errors import UserError

CASES = Cases(
    train=tuple(f"scan_{i}" for i in range(1, 9)),
    validation=("scan_9", "scan_10", "scan_11"),
    test=("scan_12", "scan_13"),
)
OPEN = {*CASES.train, *CASES.validation}


def test_every_case_validates_one_fold_and_trains_the_others():
    folds = make_folds(CASES, 4, seed=0)
    assert sorted(name for fold in folds for name in fold.validation) == sorted(OPEN)
    for fold in folds:
        assert set(fold.train) == OPEN - set(fold.validation)
        assert fold.test == CASES.test
    assert sorted(len(fold.validation) for fold in folds) == [2, 3, 3, 3]


def test_folds_depend_on_names_and_seed_alone():
    turned = Cases(train=CASES.validation[::-1], validation=CASES.train[::-1], test=CASES.test)
    assert make_folds(CASES, 3, seed=1) == make_folds(turned, 3, seed=1)
    assert make_folds(CASES, 3, seed=1) != make_folds(CASES, 3, seed=2)


def test_the_scans_of_one_subject_stay_together():
    pairs = Groups(pattern=r"scan_(\d+)", size=2)  # 1 and 2, 3 and 4, ..., 9 and 10, 11
    for fold in make_folds(CASES, 3, 0, pairs):
        subjects = [
            {(int(name.split("_")[1]) - 1) // 2 for name in part}
            for part in (fold.train, fold.validation)
        ]
        assert not subjects[0] & subjects[1]


@pytest.mark.parametrize(("count", "groups"), [(12, None), (7, Groups(pattern=r"_(\d+)", size=2))])
def test_more_folds_than_can_be_are_refused(count, groups):
    expected = f"--folds {count}: there are {11 if groups is None else 6} .*expected 2 to"
    with pytest.raises(UserError, match=expected):
        make_folds(CASES, count, 0, groups)
