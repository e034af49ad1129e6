"""Python code in a process of its own."""

import subprocess
import sys


def printed_by(code, *words, **options):
    """What the code prints that is called with these words; `options`: those of subprocess."""
    command = [sys.executable, "-B", "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
