"""Terminals that show names and never obey them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

KEPT = "\n\t\u200c\u200d"  # joiners are letters of some scripts
OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, direction of text, half a sign, line ends


def printable(text: str) -> str:
    r"""The text with every sign that a terminal obeys written out, ESC as `\x1b`.

    Names of files and classes, and messages of libraries that repeat them, may hold any sign.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


class SafeConsole(Console):
    """A console of rich that prints text so, and takes no `[word]` for markup unless told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What of rich goes to the terminal: texts, and control codes of rich's own."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def print_line(console: Console, text: str) -> None:
    """Print a line as it is: without markup and colours, and not broken where the terminal ends."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _shown(sign: str) -> str:
    if sign in KEPT or unicodedata.category(sign) not in OBEYED:
        return sign
    return sign.encode("unicode_escape").decode()
