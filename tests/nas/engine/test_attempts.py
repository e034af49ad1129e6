"""Files of attempts at a training; what fencing is for is in `nas/search/test_fenced_worker.py`."""

import shutil

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
