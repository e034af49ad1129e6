"""Arguments that every command understands alike."""

import argparse
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from nas.cli.arguments import distance
from nas.cli.main import COMMANDS, main, parser


def actions() -> Iterator[tuple[str, argparse.Action]]:
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    for name in COMMANDS:
        for action in commands.choices[name]._actions:
            yield f"{name} {action.dest}", action


@pytest.mark.parametrize(
    ("word", "hint"), [("serach", "Did you mean search?"), ("help", "segnas -h lists them")]
)
def test_a_command_that_there_is_not_is_told_the_nearest(capsys, word, hint):
    with pytest.raises(SystemExit) as end:
        main([word, "data"])
    assert end.value.code == 2
    assert f"'{word}' is no command. {hint}" in capsys.readouterr().err


def test_the_version_is_shown(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"segnas {version('segnas')}\n")


def test_no_path_of_a_command_line_is_read_with_its_tilde():
    kinds = {name: action.type for name, action in actions()}
    assert Path not in kinds.values()
    assert kinds["search dir"] is kinds["predict images"] is kinds["front dir"]


def test_a_tilde_that_the_shell_left_is_the_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parser().parse_args(["search", "~/a.yaml", "--dir=~/x"]).dir == tmp_path / "x"
    assert main(["search", "~/a.yaml"]) == 2
    assert f"{tmp_path}/a.yaml is missing" in "".join(capsys.readouterr()).replace("\n", "")


@pytest.mark.parametrize("text", ["~nobody-has-this-name/x", "a/~", "$HOME/x", "${HOME}"])
def test_what_stands_for_no_home_stays(text):
    assert parser().parse_args(["front", text]).dir == Path(text)


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "-1", "1mm", "true", ""])
def test_what_is_no_distance_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected millimetres, 0 or more"):
        distance(text)
