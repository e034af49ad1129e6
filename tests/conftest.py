import os
import signal
from pathlib import Path

import pytest
import torch

from trainers.data.cache import VolumeCache
from trainers.data.config import Preprocess, Split
from trainers.data.msd import MsdData
from trainers.data.phantom import make_phantom
from trainers.data.phantom_source import Phantom
from trainers.data.prepare import prepare_data
from trainers.data.splits import Cases


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests of small networks are slower on several threads, and repeatable on one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Ctrl-C interrupts, also where a shell began the tests in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantoms of 24^3 voxels with three organs, as a data set on disk."""
    config = Phantom(cases=6, shape=(24, 24, 24), organs=3)
    return make_phantom(config, tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="session")
def phantom(
    phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VolumeCache, Cases]:
    """Those phantoms prepared: three to train, two to validate, one to test."""
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
