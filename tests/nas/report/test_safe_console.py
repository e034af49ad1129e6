"""What names and messages may do to a terminal: nothing."""

import io
import os
import subprocess
import sys
import warnings

import pytest
from rich.table import Table

from nas.cli.console import say
from nas.cli.main import main
from nas.report.safe_console import SafeConsole, printable
from nas.report.write_front import write_front
from tests.nas.results import flat_result, search_record

EVIL = "\x1b]0;owned\x07\x1b[31mred\x9b31m\u202egpj"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("liver", "liver"),
        ("Leber, größer", "Leber, größer"),
        ("肝臓 🫀\tπ²\n", "肝臓 🫀\tπ²\n"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\rb\x7f\x9b", r"a\rb\x7f\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff", r"\udcff"),  # of a file's name that is no UTF-8
    ],
)
def test_signs_that_a_terminal_obeys_are_written_out(text, shown):
    assert printable(text) == shown
    shown.encode()


def printed(renderable, **options):
    console = SafeConsole()
    console.file = io.StringIO()
    console.print(renderable, **options)
    return console.file.getvalue()


def test_texts_and_tables_obey_no_name():
    table = Table("name", title=EVIL)
    table.add_row(f"[bold]{EVIL}[/]")
    for shown in (printed(EVIL), printed(table)):
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*shown}
        assert r"\x1b" in shown
    assert "[bold]" in printed(table)  # and it is no markup


@pytest.mark.parametrize("name", ["[/red]", "[red]", "a[/", ":bomb:"])
def test_what_looks_like_markup_is_a_name(name):
    table = Table("name")
    table.add_row(name)
    assert name in printed(table) and name in printed(name)


def test_a_coloured_terminal_keeps_its_own_codes():
    console = SafeConsole()
    console.file, console._force_terminal = io.StringIO(), True
    console._color_system = None
    console.print("[bold red]error:[/] x", markup=True)
    assert "error: x" in console.file.getvalue()


def test_errors_warnings_and_reports_obey_no_name(tmp_path, capsys):
    folder = tmp_path / "a\x1b]0;owned\x07b"
    assert main(["front", str(folder)]) == 2
    warnings.warn(f"odd {EVIL}", UserWarning, stacklevel=1)
    say(folder)
    told = "".join(capsys.readouterr())
    assert not {"\x1b", "\x07", "\x9b"} & {*told}
    assert "error: " in told and r"warning: odd \x1b]0;owned" in told
    assert rf"{tmp_path}/a\x1b]0;owned" in told


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_signs_that_a_terminal_lacks_end_no_command(encoding, tmp_path):
    """As on clusters whose language is not UTF-8: a cost that nobody knows is a dash."""
    known = flat_result(key="a", dice=0.88, params=100, latency_ms=5.0)
    write_front(tmp_path, search_record([known, flat_result(key="b", dice=0.9, params=900)]))
    command = [sys.executable, "-m", "nas", "front", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    found = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"0.9000" in found.stdout
