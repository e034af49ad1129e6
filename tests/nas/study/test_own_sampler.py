"""A sampler that an installed package offers."""

import os
import subprocess
import sys
from pathlib import Path

from tests.installed_package import files_of_page, install


def test_the_sampler_of_the_page_keeps_the_contract(tmp_path):
    install(files_of_page("own-sampler.md"), tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_neighbours.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert "10 passed" in done.stdout, done.stdout + done.stderr
