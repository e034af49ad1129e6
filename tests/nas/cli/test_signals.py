"""What ends a search early ends every command: as Ctrl-C does, with what it had begun removed."""

import signal
import subprocess
import sys

import pytest

from nas.cli.main import main
from trainers.signals import SIGNALS

BUILDING = """
import sys, time
from pathlib import Path
from nas.cli import spaces
from nas.cli.main import main
from trainers.atomic import make_folder

def build(draft):
    (draft / "half").write_text("")
    print("building", flush=True)
    time.sleep(60)

spaces.run = lambda _: make_folder(Path(sys.argv[1]), build)
sys.exit(main(["spaces"]))
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_ends_with_status_130_and_leaves_no_half_folder(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-c", BUILDING, tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_unignored,
    )
    assert process.stdout.readline() == "building\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert not list(tmp_path.iterdir())


def _unignored() -> None:
    """As in a terminal, where these tests run under `nohup`, too."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def test_the_handlers_of_a_program_that_calls_a_command_are_its_own_again():
    before = [signal.getsignal(number) for number in SIGNALS]
    assert main(["spaces"]) == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before
