"""What importing the trainers loads, each time in a process of its own."""

import pytest

from tests.processes import printed_by
from trainers.light_monai import LEFT_OUT, _LeftOut

LIGHT = [
    *("atomic", "config", "errors", "strict", "data", "data.config", "data.dataset", "data.folds"),
    *("data.msd", "data.phantom_source", "data.registry", "data.source", "data.splits"),
    *("data.datalist", "data.dicom_source", "data.folder_source", "data.nnunet", "data.table"),
    "data.fetch.fetch",
    "data.task",
]


def loaded_by(code: str, among: set[str]) -> set[str]:
    """Those of the modules `among` that are there after the code."""
    return set(printed_by(f"{code}\nimport sys\nprint(*sys.modules)").split()) & among


@pytest.mark.parametrize("module", LIGHT)
def test_configurations_and_lists_of_cases_need_no_torch(module):
    heavy = {"torch", "monai", "nibabel", "scipy"}
    assert loaded_by(f"import trainers.{module}", heavy) == set()


@pytest.mark.parametrize("module", ["trainer", "data.cache", "inference", "losses"])
def test_training_needs_no_library_for_images(module):
    heavy = {"torch", "monai", "nibabel", "scipy"}
    assert loaded_by(f"import trainers.{module}", heavy) <= {"torch"}


@pytest.mark.parametrize("code", ["import trainers, monai", "import nas, monai"])
def test_monai_comes_without_what_nobody_uses_of_it(code):
    assert loaded_by(code, {"monai", "ray", *LEFT_OUT}) == {"monai"}


@pytest.mark.slow
def test_what_monai_was_denied_can_be_imported_afterwards():
    names = ", ".join(sorted(LEFT_OUT))
    told = printed_by(
        f"import sys, trainers, monai, {names}\n"
        "print([m for m in sys.modules.values() if m is None])\n"
        "print([f for f in sys.meta_path if 'light_monai' in type(f).__module__])\n"
        "import matplotlib.pyplot, mlflow.tracking, sklearn.metrics, scipy.signal\n"
        "print(scipy.signal.convolve([1, 2], [1, 1]))"
    )
    assert told.splitlines() == ["[]", "[]", "[1 3 2]"]


def test_who_imports_at_the_same_time_is_denied_nothing():
    """This module is none of MONAI's."""
    finder = _LeftOut()
    assert all(finder.find_spec(name) is None for name in LEFT_OUT)
    of_monai = {"__name__": "monai.handlers", "finder": finder}
    with pytest.raises(ModuleNotFoundError, match="mlflow was left out"):
        exec("finder.find_spec('mlflow')", of_monai)
    exec("finder.find_spec('einops')", of_monai)


@pytest.mark.slow
def test_monai_is_whole_where_it_was_imported_first():
    assert loaded_by("import monai, trainers.trainer", {"mlflow", "sklearn"}) == {
        "mlflow",
        "sklearn",
    }
