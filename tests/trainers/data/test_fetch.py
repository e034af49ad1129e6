"""Downloading a data set: checked, gone on with, refused where it is not what it should be.

The server is one of this machine; the archive has the layout of the Decathlon's.
"""

import io
import json
import shutil
import socket
import tarfile
from collections import namedtuple

import nibabel as nib
import numpy as np
import pytest

from nas.cli.main import main
from tests.disk import small_files
from tests.trainers.data.mirror import Mirror, hippocampus, running, tar_of
from trainers.data.fetch import download, fetch, open_sets
from trainers.data.fetch.open_sets import OPEN_SETS, find_open_set
from trainers.data.msd import read_msd
from trainers.errors import UserError

FOLDER = "Task04_Hippocampus"
CASES = ("hippocampus_001", "hippocampus_003")


def volume(values):
    """The bytes of a .nii.gz file."""
    return nib.Nifti1Image(values, np.eye(4)).to_bytes()


@pytest.fixture(scope="module")
def files():
    """As in the Decathlon's archive, with what macOS's tar has added there."""
    generator = np.random.default_rng(0)
    about = {
        "name": "Hippocampus",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": [
            {"image": f"./imagesTr/{case}.nii", "label": f"./labelsTr/{case}.nii"} for case in CASES
        ],
    }
    found = {f"{FOLDER}/dataset.json": json.dumps(about).encode()}
    for case in CASES:
        image = generator.normal(size=(24, 24, 24)).astype(np.float32)
        found[f"{FOLDER}/imagesTr/{case}.nii"] = volume(image)
        found[f"{FOLDER}/labelsTr/{case}.nii"] = volume((image > 1).astype(np.uint8))
        found[f"{FOLDER}/imagesTr/._{case}.nii"] = b"of macOS"
    return {f"./._{FOLDER}": b"of macOS", **found}


@pytest.fixture
def mirror(files, monkeypatch):
    """A mirror that has the archive; a try that brought nothing is followed at once."""
    monkeypatch.setattr(download, "PAUSE", 0.0)
    with running(Mirror({f"/{FOLDER}.tar": tar_of(files)})) as mirror:
        yield mirror


@pytest.fixture
def serve(mirror):
    """Puts another archive there; returns the set with its sum."""

    def put(archive):
        mirror.files[f"/{FOLDER}.tar"] = archive
        return hippocampus(archive)

    return put


def get(mirror, to, which=None):
    archive = mirror.files.get(f"/{FOLDER}.tar", b"")
    which = which or hippocampus(archive)
    return fetch.fetch(which, to, lambda *_: None, mirror.address)


def left(folder):
    """The names of what lies in a folder, but for locks."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_a_set_is_fetched_and_is_one(mirror, tmp_path, files):
    told = []
    which = hippocampus(mirror.files[f"/{FOLDER}.tar"])
    folder = fetch.fetch(which, tmp_path / "new", lambda *said: told.append(said), mirror.address)
    assert folder == tmp_path / "new" / FOLDER
    assert left(tmp_path / "new") == {FOLDER}
    assert [case.name for case in read_msd(folder).cases] == list(CASES)
    for name, content in files.items():
        if "._" not in name:
            assert (folder.parent / name).read_bytes() == content
    assert not list(folder.rglob("._*"))
    size = len(mirror.files[f"/{FOLDER}.tar"])
    assert (size, size, "downloaded") in told and (size, size, "checked") in told
    assert {what for *_, what in told} == {"downloaded", "checked", "unpacked"}
    assert json.loads((folder / "fetched.json").read_text())["licence"] == "CC-BY-SA 4.0"


def test_what_is_whole_is_not_fetched_again(mirror, tmp_path):
    folder = get(mirror, tmp_path)
    before = len(mirror.asked)
    assert get(mirror, tmp_path) == folder
    assert len(mirror.asked) == before


def test_a_connection_that_breaks_is_gone_on_from(mirror, tmp_path):
    mirror.ends_after = [1000, 5000, 0, 7]
    get(mirror, tmp_path)
    ranges = [wanted for _, wanted in mirror.asked]
    assert ranges == [None, "bytes=1000-", "bytes=6000-", "bytes=6000-", "bytes=6007-"]


def test_another_call_goes_on_from_what_a_killed_one_has_left(mirror, tmp_path):
    archive = mirror.files[f"/{FOLDER}.tar"]
    (tmp_path / f".{FOLDER}.tar.part").write_bytes(archive[:4321])
    (tmp_path / f".{FOLDER}-0123").mkdir()  # it was killed while it unpacked an earlier one
    get(mirror, tmp_path)
    assert mirror.asked == [("GET", "bytes=4321-")]
    assert left(tmp_path) == {FOLDER}


def test_what_was_received_to_the_last_byte_is_not_asked_for_again(mirror, tmp_path):
    (tmp_path / f".{FOLDER}.tar.part").write_bytes(mirror.files[f"/{FOLDER}.tar"])
    get(mirror, tmp_path)
    assert [wanted for _, wanted in mirror.asked] == [
        f"bytes={len(mirror.files[f'/{FOLDER}.tar'])}-"
    ]


def test_a_server_without_ranges_sends_all_again(mirror, tmp_path):
    mirror.ranges, mirror.ends_after = False, [3000]
    read = get(mirror, tmp_path)
    assert [case.name for case in read_msd(read).cases] == list(CASES)
    assert len(mirror.asked) == 2


def test_a_server_that_is_busy_is_asked_again(mirror, tmp_path):
    mirror.statuses = [503, 500]
    assert get(mirror, tmp_path).is_dir()


def test_who_gives_up_keeps_what_came(mirror, tmp_path):
    mirror.ends_after = [2000, 0, 0, 0]
    with pytest.raises(UserError, match=r"ended after 2000 of \d+ bytes; .*\.part is kept"):
        get(mirror, tmp_path)
    assert (tmp_path / f".{FOLDER}.tar.part").stat().st_size == 2000
    assert not (tmp_path / FOLDER).exists()
    get(mirror, tmp_path)
    assert mirror.asked[-1] == ("GET", "bytes=2000-")


def test_a_wrong_sum_is_refused_and_nothing_of_it_stays(mirror, tmp_path):
    with pytest.raises(UserError, match=r"has the MD5 sum .*; expected 9d24dba78a72977dbd1d2e1103"):
        get(mirror, tmp_path, find_open_set("hippocampus"))
    assert left(tmp_path) == set()


@pytest.mark.parametrize(("status", "words"), [(404, "HTTP 404 Not Found"), (403, "HTTP 403")])
def test_a_server_that_has_it_not_is_told_at_once(mirror, tmp_path, status, words):
    mirror.statuses = [status]
    with pytest.raises(UserError, match=f"Hippocampus.tar cannot be had: {words}.*--mirror"):
        get(mirror, tmp_path)
    assert len(mirror.asked) == 1


def test_no_network_is_one_line(mirror, tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        mirror.address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(UserError, match=r"cannot be had: .*[Rr]efused"):
            get(mirror, tmp_path)


@pytest.mark.parametrize("address", ["ftp://host/x", "file:///etc", "host/x", "http://", "s3://b"])
def test_a_mirror_is_a_web_address(address, tmp_path):
    with pytest.raises(UserError, match="expected an address that begins with https://"):
        fetch.fetch(find_open_set("heart"), tmp_path, lambda *_: None, address)
    assert left(tmp_path) == set()


# Disks


def test_room_is_made_sure_of_before_anything_comes(mirror, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**5))
    with pytest.raises(UserError, match=r"takes 0\.\d\d GB more, and .* has 0\.00 GB; make room"):
        get(mirror, tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_disk_that_takes_no_more_is_one_line_and_the_rest_is_kept(mirror, tmp_path):
    with small_files(3000), pytest.raises(UserError, match=r"\.part cannot be written: File too"):
        get(mirror, tmp_path)
    assert (tmp_path / f".{FOLDER}.tar.part").stat().st_size == 3000
    get(mirror, tmp_path)
    assert mirror.asked[-1] == ("GET", "bytes=3000-")


def test_a_disk_that_is_full_while_it_unpacks_leaves_no_set(mirror, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.data.fetch.unpack.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left on device"):
        get(mirror, tmp_path)
    assert left(tmp_path) == {f".{FOLDER}.tar"}
    monkeypatch.undo()
    assert get(mirror, tmp_path).is_dir()
    assert len(mirror.asked) == 1


def test_a_folder_of_somebody_else_is_left_alone(mirror, tmp_path):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="was not fetched: use it as it is, or give --to another"):
        get(mirror, tmp_path)
    assert mirror.asked == [] and (tmp_path / FOLDER / "mine.txt").read_text() == "mine"


def test_a_set_that_has_lost_files_is_told(mirror, tmp_path):
    folder = get(mirror, tmp_path)
    (folder / "imagesTr" / f"{CASES[0]}.nii").unlink()
    (folder / "labelsTr" / f"{CASES[1]}.nii").write_bytes(b"")
    with pytest.raises(UserError, match=r"lost or changed imagesTr/hippocampus_001\.nii, labelsTr"):
        get(mirror, tmp_path)


def test_two_at_once_do_not_write_one_file(mirror, tmp_path):
    busy = fetch._alone(tmp_path, find_open_set("hippocampus"))
    with busy, pytest.raises(UserError, match="is being fetched there already"):
        get(mirror, tmp_path)


# Archives that could do harm


def special(name, kind, **facts):
    member = tarfile.TarInfo(name)
    member.type = kind
    for fact, value in facts.items():
        setattr(member, fact, value)
    return member


HARMFUL = {
    "above": (tar_of({f"{FOLDER}/../../x": b"1"}), "outside of Task04"),
    "beside": (tar_of({"Task05/x": b"1"}), "outside of Task04"),
    "absolute": (tar_of({"/x": b"1"}), "outside of Task04"),
    "link": (
        tar_of({}, special(f"{FOLDER}/x", tarfile.SYMTYPE, linkname="/etc")),
        "a link or a device",
    ),
    "hard link": (
        tar_of({f"{FOLDER}/y": b"1"}, special(f"{FOLDER}/x", tarfile.LNKTYPE, linkname="../z")),
        "a link or a device",
    ),
    "device": (tar_of({}, special(f"{FOLDER}/x", tarfile.CHRTYPE)), "a link or a device"),
    "no descriptor": (tar_of({f"{FOLDER}/x": b"1"}), "has no dataset.json"),
    "no archive": (b"nothing of the kind", "no tar archive that can be read"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_an_archive_that_could_do_harm_is_not_unpacked(kind, serve, mirror, tmp_path):
    archive, words = HARMFUL[kind]
    which = serve(archive)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=words):
        get(mirror, tmp_path / "in", which)
    assert left(tmp_path) == {"in"}
    assert left(tmp_path / "in") == {f".{FOLDER}.tar"}


def test_an_archive_is_not_larger_than_it_is(serve, mirror, tmp_path):
    """A sparse file of 1 TB, which takes 512 bytes in the archive."""
    member = tarfile.TarInfo(f"{FOLDER}/dataset.json")
    member.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(10**12),
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    which = serve(content.getvalue())
    with pytest.raises(UserError, match="says that it holds more than it does"):
        get(mirror, tmp_path, which)


# Names


@pytest.mark.parametrize("name", ["hippocampus", "Hippocampus", "Task04", "task04_hippocampus"])
def test_a_set_has_several_names(name):
    assert find_open_set(name).folder == FOLDER


def test_a_mistyped_name_is_suggested():
    with pytest.raises(UserError, match=r"'hipocampus' is no set .*; did you mean hippocampus\?"):
        find_open_set("hipocampus")
    with pytest.raises(UserError, match="there are: braintumour, heart, liver"):
        find_open_set("xyz")


def test_the_table_is_that_of_monai():
    from monai.apps import DecathlonDataset

    for one in OPEN_SETS:
        assert DecathlonDataset.md5[one.folder] == one.md5
        assert DecathlonDataset.resource[one.folder] == fetch.archive_address(one)
    assert len(OPEN_SETS) == len(DecathlonDataset.md5)


# The command


@pytest.fixture
def commanded(mirror, monkeypatch):
    """`segnas fetch` at that mirror, whose archive has the sum that it should have."""
    which = hippocampus(mirror.files[f"/{FOLDER}.tar"])
    others = [one for one in OPEN_SETS if one.folder != FOLDER]
    monkeypatch.setattr(open_sets, "OPEN_SETS", (*others, which))
    monkeypatch.setenv("SEGNAS_MIRROR", mirror.address)
    return lambda *words: main(["fetch", *map(str, words)])


def test_the_command_says_what_is_next(commanded, tmp_path, capsys):
    assert commanded("hippocampus", "--to", tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / FOLDER}: 260 labelled cases; CC-BY-SA 4.0, cite Antonelli" in said
    assert said.endswith(f"next: segnas search {tmp_path / FOLDER}\n")


def test_the_command_lists_what_there_is(commanded, mirror, capsys):
    assert commanded("--json") == 0
    sets = {one["name"]: one for one in json.loads(capsys.readouterr().out)["sets"]}
    assert len(sets) == 10
    assert sets["hippocampus"]["bytes"] == len(mirror.files[f"/{FOLDER}.tar"])
    assert sets["liver"]["bytes"] is None  # the mirror has one set
    assert commanded() == 0
    said = capsys.readouterr().out
    assert "hippocampus" in said and "CC-BY-SA 4.0" in said and "no answer" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hipocampus",), "did you mean hippocampus?"),
        (("heart", "--mirror", "ftp://x"), "--mirror ftp://x: expected an address"),
        (("heart",), "Task02_Heart.tar cannot be had: HTTP 404 Not Found"),
    ],
)
def test_the_command_tells_errors_in_one_line(words, message, commanded, tmp_path, capsys):
    assert commanded(*words, "--to", tmp_path) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
