"""A disk that is full when each kind of file is written: a real one, of a few hundred kilobytes.

Prepared volumes: tests/trainers/data/test_shared_cache.py; deployed folders: test_deploy.py; a
checkpoint while a network is trained: tests/nas/engine/test_evaluation.py.
"""

import io
import logging
import shutil
import threading

import pytest
from rich.console import Console

from nas.config.run_config import RunConfig
from nas.config.yaml_file import read_config
from nas.engine.trial_files import TrialFiles
from nas.export.export_folder import Export
from nas.export.write_export import write_export
from nas.pareto.front_files import read_front
from nas.report.read_search import read_search
from nas.report.write_front import try_write_front, write_front
from nas.search.components import export_settings
from nas.search.resync import sync_search
from nas.search.search_info import search_info
from nas.study import journal
from nas.study.journal import Journal
from nas.study.search_folder import JOURNAL, checkpoint_in
from nas.tracking import Tracker, store
from tests.disk import fill, grow, small_disk
from tests.nas.small_search import ended_search
from trainers.checkpoint import read_checkpoint, write_checkpoint
from trainers.data.task import Task
from trainers.errors import UserError

LOGS = [{"op_code": 8, "worker_id": "w", "text": f"{n:03d}" * 2000} for n in range(3)]


def make_room(folder):
    """Of a disk that was filled by `fill(folder / "filler")`."""
    (folder / "filler").unlink()


def test_the_journal_waits_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SHORTEST", 0.05)
    with small_disk(tmp_path, 2**16):
        writer = Journal(tmp_path / JOURNAL)
        writer.append_logs(LOGS[:1])
        fill(tmp_path / "filler")
        threading.Timer(0.3, make_room, [tmp_path]).start()
        with pytest.warns(UserWarning, match=r"No space left on device\): the search waits"):
            writer.append_logs(LOGS[1:])
        assert list(Journal(tmp_path / JOURNAL).read_logs(0)) == LOGS


def test_a_checkpoint_is_taken_without_room_and_shrinks_later(tmp_path):
    files, state = TrialFiles(tmp_path, 30), {"weights": {}, "training": {"epoch": 1}}
    with small_disk(tmp_path, 2**18):
        write_checkpoint(files.attempts("net").begin("a"), state)
        fill(tmp_path / "filler")
        files.attempts("net").accept("a")  # a link takes no room
        assert read_checkpoint(files.checkpoint("net")) == state
        with pytest.raises(OSError, match=r"No space left on device: '.*net\.pt'"):
            files.tidy("net", keep=True)
        assert read_checkpoint(files.checkpoint("net")) == state
        make_room(tmp_path)
        files.clear({"net": True})
        assert read_checkpoint(files.checkpoint("net")) == {"weights": {}}


@pytest.fixture
def search(tmp_path):
    """The folder of a search of five networks on a small disk with its front, and no MLflow."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, 2**25):
        (folder / "search").mkdir()
        ended_search(folder / "search", tracking={"enabled": False})
        assert sync_search(folder / "search", Console(file=io.StringIO())) == 0
        yield folder / "search"


def test_the_page_stays_as_it_was_and_is_made_later(search):
    _, record = read_search(search)
    before = {path.name: path.read_bytes() for path in search.glob("front.*")}
    fill(search / "filler")
    with pytest.warns(UserWarning, match=r"No space left on device.*tried again"):
        try_write_front(search, record)
    assert {path.name: path.read_bytes() for path in search.glob("front.*")} == before
    assert not list(search.glob(".front*"))
    make_room(search)
    (search / "front.html").unlink()
    write_front(search, record)
    assert (search / "front.html").exists()
    assert len(read_front(search).members) == 3


def test_an_export_is_whole_or_not_there(search, tmp_path):
    config = read_config(RunConfig, search / "config.yaml", recorded=True)
    settings = export_settings(config, Task.read(search))
    member = read_front(search).members[0]
    network = member.network().build(1, 2)
    write_checkpoint(checkpoint_in(search, member.name), {"weights": network.state_dict()})
    to = search.parent / "export"
    fill(search / "filler")
    with pytest.raises(UserError, match="export cannot be filled: No space left on device"):
        write_export(search, member, settings, to)
    assert not to.exists()
    assert not list(search.parent.glob(".export*"))
    make_room(search)
    write_export(search, member, settings, to)
    assert Export(to).architecture == member.network()


@pytest.mark.slow
def test_mlflow_lacks_what_it_could_not_keep_and_gets_it_later(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.WARNING)
    whole = tmp_path / "mlflow.db"
    store.prepare_mlflow()
    store.make_store(whole)
    (folder := tmp_path / "disk").mkdir()
    with small_disk(folder, whole.stat().st_size + 2**18):
        study = ended_search(folder)
        shutil.copy(whole, folder)
        config = read_config(RunConfig, folder / "config.yaml", recorded=True)
        tracker = Tracker(config.tracking, folder, search_info(config, study.id))
        fill(folder / "filler")
        tracker.sync(study.results)
        assert tracker.behind
        [told] = [r for r in caplog.records if r.name == "segnas.tracking"]
        assert "segnas sync" in told.getMessage()
        assert len(study.results) == 5
        make_room(folder)
        grow(folder, 2**26)
        assert sync_search(folder, Console(file=io.StringIO())) == 0
        text = io.StringIO()
        assert sync_search(folder, Console(file=text)) == 0
        assert "nothing was missing" in text.getvalue()
