import errno
import os

import pytest
import torch
from torch import nn

from tests.disk import fill, small_disk, small_files
from trainers.checkpoint import keep_weights_only, load_weights, read_checkpoint, write_checkpoint
from trainers.errors import UserError


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran-code",)


def test_what_was_written_is_read(tmp_path):
    network = nn.Linear(2, 3)
    file = tmp_path / "new" / "a.pt"
    write_checkpoint(file, {"weights": network.state_dict(), "epoch": 3})
    assert read_checkpoint(file)["epoch"] == 3
    other = nn.Linear(2, 3)
    load_weights(other, file)
    assert torch.equal(other.weight, network.weight)


LARGE = {"weights": {"a": torch.zeros(100_000)}, "epoch": 2}


def test_a_write_that_fails_halfway_leaves_the_old_file_alone(tmp_path):
    file = tmp_path / "a.pt"
    write_checkpoint(file, {"weights": {}, "epoch": 1})
    with small_files(50_000), pytest.raises(OSError, match="File too large"):
        write_checkpoint(file, LARGE)
    assert read_checkpoint(file)["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_full_disk_is_told_and_leaves_the_old_file_alone(tmp_path):
    with small_disk(tmp_path, 300_000):
        file = tmp_path / "a.pt"
        write_checkpoint(file, {"weights": {}, "epoch": 1})
        fill(tmp_path / "filler")
        with pytest.raises(OSError, match="No space left") as error:
            write_checkpoint(file, LARGE)
        assert error.value.filename == str(file)
        assert read_checkpoint(file)["epoch"] == 1
        assert {path.name for path in tmp_path.iterdir()} == {"a.pt", "filler"}


def test_nothing_is_left_beside_a_written_file(tmp_path):
    write_checkpoint(tmp_path / "a.pt", {"weights": {}})
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_file_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Code()}, "evil.pt")
    with pytest.raises(UserError, match="no checkpoint that can be read safely"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran-code").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 truncated"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    file = tmp_path / "a.pt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.pt is no checkpoint"):
        read_checkpoint(file)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r"missing\.pt is missing"):
        read_checkpoint(tmp_path / "missing.pt")


@pytest.mark.parametrize("state", [[1, 2], {"epoch": 1}])
def test_a_checkpoint_without_weights_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UserError, match="has no `weights`"):
        read_checkpoint(tmp_path / "a.pt")


def test_weights_of_another_network_are_refused(tmp_path):
    write_checkpoint(tmp_path / "a.pt", {"weights": nn.Linear(2, 3).state_dict()})
    with pytest.raises(UserError, match=r"a\.pt holds another network's weights"):
        load_weights(nn.Linear(3, 3), tmp_path / "a.pt")


def test_of_hundreds_of_differences_one_is_told(tmp_path):
    deep = nn.Sequential(*[nn.Linear(2, 2) for _ in range(100)])
    write_checkpoint(tmp_path / "a.pt", {"weights": nn.Linear(2, 3).state_dict()})
    with pytest.raises(UserError) as error:
        load_weights(deep, tmp_path / "a.pt")
    assert "Missing key(s)" in str(error.value)
    assert len(str(error.value)) < 400 + len(str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_finished_checkpoint_shrinks_to_its_weights(tmp_path):
    network = nn.Linear(2, 3)
    write_checkpoint(tmp_path / "a.pt", {"weights": network.state_dict(), "training": {"x": 1}})
    keep_weights_only(tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").keys() == {"weights"}
    load_weights(network, tmp_path / "a.pt")


def test_a_server_that_does_not_answer_makes_no_file_damaged(tmp_path, monkeypatch):
    """So that nobody removes what is there and begins again."""
    write_checkpoint(tmp_path / "a.pt", {"weights": {}})

    def stale(*given, **options):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(torch, "load", stale)
    with pytest.raises(OSError, match="Stale file handle"):
        read_checkpoint(tmp_path / "a.pt")
