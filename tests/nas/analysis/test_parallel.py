"""The processes of previews and plans."""

import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

SCRIPT = """
from nas.analysis.preview.parallel import begin_process
import multiprocessing, os, time

def work():
    begin_process()
    print(os.getpid(), flush=True)
    time.sleep(300)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=work).start()
    time.sleep(300)
"""


@pytest.mark.slow
def test_they_end_when_the_process_that_began_them_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    try:
        child.wait(20)
    finally:
        with suppress(psutil.NoSuchProcess):
            child.kill()
