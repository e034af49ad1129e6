"""Names and free text in Markdown: shown as they are, and never as markup."""

from __future__ import annotations

import re

MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")  # an underscore within a word is none


def plain(text: object) -> str:
    """The text on one line, with a backslash before each sign that would be markup.

    A class may be called `<img src=...>` or `[a](http://b)`, and a description have many lines.
    """
    return MARKS.sub(lambda mark: "\\" + mark[0], " ".join(str(text).split()))
