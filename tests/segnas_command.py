"""The command `segnas`, run in the process of the tests."""

import json

from nas.cli.main import main


class SegnasCommand:
    """Runs commands, whose words may be paths and numbers, and returns what they say."""

    def __init__(self, capsys):
        self._capsys = capsys

    def printed(self, *words):
        """What a command that succeeds prints."""
        return self._run(words, 0).out

    def json(self, *words):
        """What it prints with `--json`."""
        return json.loads(self.printed(*words, "--json"))

    def refused(self, *words):
        """What a command says that ends with bad input."""
        return self._run(words, 2).err

    def _run(self, words, code):
        self._capsys.readouterr()  # what was said before
        assert main(list(map(str, words))) == code
        return self._capsys.readouterr()
