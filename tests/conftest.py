"""What all tests share. Only fixtures import torch: the process that deals out tests is light."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from tests.segnas_command import SegnasCommand
    from trainers.data.cache import VolumeCache
    from trainers.data.splits import Cases

WITH_RAY = (  # files that start Ray, or whole commands that do: one after the other, and first
    "tests/nas/engine/test_cluster.py",
    "tests/nas/engine/test_evaluators.py",
    "tests/nas/engine/test_ray_private.py",
    "tests/nas/engine/test_remote_latency_probe.py",
    "tests/nas/engine/test_tune_run.py",
    "tests/nas/engine/test_two_nodes.py",
    "tests/nas/engine/test_worker_imports.py",
    "tests/nas/pareto/test_new_objective.py",
    "tests/nas/search/test_devices_search.py",
    "tests/nas/search/test_pruned_search.py",
    "tests/nas/search/test_regions.py",
    "tests/nas/search/test_run.py",
    "tests/nas/search/test_supernet_search.py",
    "tests/test_end_to_end.py",
    "tests/test_pinned.py",
    "tests/test_python.py",
    "tests/test_sources_end_to_end.py",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes for the whole suite; this one alone for chosen files and for slow tests."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return 2 if whole and config.option.markexpr == "not slow" else 0


class ByFile(LoadScopeScheduling):
    """A file's tests run in one process, which makes their fixtures once; all with Ray in one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "with Ray" if file in WITH_RAY else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Who gets which tests."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in WITH_RAY)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests of small networks are slower on several threads, and repeatable on one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C interrupts, also where a shell began the tests in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def segnas(capsys: pytest.CaptureFixture[str]) -> SegnasCommand:
    """The command, run in this process."""
    from tests.segnas_command import SegnasCommand

    return SegnasCommand(capsys)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantoms of 24^3 voxels with three organs, as a data set on disk."""
    from trainers.data.phantom import make_phantom
    from trainers.data.phantom_source import PhantomData

    config = PhantomData(cases=6, shape=(24, 24, 24), organs=3)
    return make_phantom(config, tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="session")
def phantom(
    phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VolumeCache, Cases]:
    """Those phantoms prepared: three to train, two to validate, one to test."""
    from trainers.data.config import Preprocess, Split
    from trainers.data.msd import MsdData
    from trainers.data.prepare import prepare_data

    config = MsdData(
        path=phantom_folder,
        preprocess=Preprocess(spacing="native", crop="none", intensity="ct", window=(-175, 250)),
        split=Split(validation=0.34, test=0.17),
    )
    return prepare_data(config, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def hippocampus() -> Path:
    """The folder of the Medical Segmentation Decathlon's Task04; skips where it is not at hand."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "Task04_Hippocampus"
    folder = Path(os.environ.get("SEGNAS_HIPPOCAMPUS", beside))
    if not (folder / "dataset.json").is_file():
        pytest.skip(f"no hippocampus data in {folder}; set SEGNAS_HIPPOCAMPUS to its folder")
    return folder


@pytest.fixture(scope="session")
def case_files() -> Path:
    """A folder of real and odd files (`real`, `obl`, ...); skips where it is not at hand."""
    folder = Path(os.environ.get("SEGNAS_CASES", Path(__file__).parents[2] / "shared" / "cases"))
    if not (folder / "real").is_dir():
        pytest.skip(f"no case files in {folder}; set SEGNAS_CASES to their folder")
    return folder
