"""How commands print: their report to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import RenderableType

from nas.report.safe_console import SafeConsole, print_line, printable

WIDTH = 120  # of tables that go into a file or a pipe
# Machine-readable output is all that standard output ever gets besides a command's own report.
NOTES = SafeConsole(stderr=True)


class _Output(SafeConsole):
    def on_broken_pipe(self) -> None:
        """Of rich this ends the program with 1, which of `check` means that data are refused."""
        raise BrokenPipeError


def print_wide(renderable: RenderableType) -> None:
    """Print it, in full width where nobody watches."""
    console = _Output()
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    console.print(renderable, highlight=False)


def say(line: object) -> None:
    """A line of a command's report, to standard output."""
    print(printable(str(line)), flush=True)


def note(text: str) -> None:
    """One line for the person at the terminal."""
    print_line(NOTES, text)
