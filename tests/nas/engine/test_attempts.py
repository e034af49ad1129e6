"""Files of attempts at a training; what fencing is for is in `nas/search/test_fenced_worker.py`."""

import errno
import shutil

import pytest

from nas.engine import attempts
from nas.engine.attempts import Attempts


def test_where_a_checkpoint_can_be_copied_by_halves_alone_an_attempt_has_none(
    tmp_path, monkeypatch
):
    checkpoint = tmp_path / "a.pt"
    checkpoint.write_bytes(b"x" * 1000)

    def no_links(old, new):
        raise OSError(38, "no links here")

    def full(old, new):
        new.write_bytes(old.read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(attempts.os, "link", no_links)
    monkeypatch.setattr(shutil, "copyfile", full)
    own = Attempts(checkpoint).begin("1")
    assert not own.exists() and checkpoint.stat().st_size == 1000


def test_a_server_that_does_not_answer_begins_no_training_anew(tmp_path, monkeypatch):
    checkpoint = tmp_path / "a.pt"
    checkpoint.write_bytes(b"x" * 1000)

    def silent(old, new):
        raise OSError(errno.EIO, "Input/output error")

    def by_halves(old, new):
        new.write_bytes(old.read_bytes()[:100])
        silent(old, new)

    monkeypatch.setattr(attempts.os, "link", silent)
    monkeypatch.setattr(shutil, "copyfile", by_halves)
    own = Attempts(checkpoint)
    with pytest.raises(OSError, match="Input/output error"):
        own.begin("1")
    assert not own.file("1").exists() and checkpoint.stat().st_size == 1000


def test_a_training_that_has_come_to_nothing_begins(tmp_path):
    assert not Attempts(tmp_path / "a.pt").begin("1").exists()
