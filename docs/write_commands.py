"""Write commands.md, the reference of all commands, from the arguments that they declare.

    python docs/write_commands.py

A test compares the page with what this would write.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from nas.cli.main import COMMANDS, parser

PAGE = Path(__file__).with_name("commands.md")
WIDTH = 80
HEAD = """\
# All commands

What each command takes, as `segnas COMMAND --help` tells it, in the order in which people use them;
[the first page](README.md) leads to the page that explains each. Where a command has them,

- `--json` prints one JSON object;
- `--set KEY=VALUE` changes a key of the configuration, such as `--set train.epochs=3`; the last one
  counts ([how it is read](configuration.md)).

Every command returns 0 where it did what was asked, 1 where it did not, 2 for input that does not
fit (with one line that says what was found and what is expected), and 130 after Ctrl-C. Reports go
to standard output, everything else to standard error.
"""
ABOVE = {"--json", "--set"}  # which the head explains


def page() -> str:
    """The whole page."""
    (choices,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _section(choices, name))])


def _section(choices: argparse._SubParsersAction, name: str) -> Iterator[str]:
    command = choices.choices[name]
    told = command.description or ""
    yield f"## {name}"
    yield ""
    yield f"{told[0].upper()}{told[1:]}{'' if told.endswith('?') else '.'}"
    yield ""
    yield "```"
    yield from _wrapped(f"segnas {name}", list(map(_usage, _ordered(command))))
    yield "```"
    yield ""
    if arguments := [one for one in _ordered(command) if not ABOVE & {*one.option_strings}]:
        yield "| argument | meaning |"
        yield "|---|---|"
        for action in arguments:
            yield f"| `{_cell(_names(action))}` | {_cell(_help(action))} |"
        yield ""


def _wrapped(start: str, words: list[str]) -> Iterator[str]:
    """The words after `start`, in lines of `WIDTH`; a word stays whole."""
    line = start
    for word in words:
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = " " * len(start)
        line = f"{line} {word}"
    yield line


def _ordered(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its arguments, those without a name first, without --help."""
    actions = [one for one in command._actions if not isinstance(one, argparse._HelpAction)]
    yield from (action for action in actions if not action.option_strings)
    yield from (action for action in actions if action.option_strings)


def _value(action: argparse.Action) -> str:
    """What stands for the value: `DIR`, `a|b`, `[N]` for an optional one; nothing for a switch."""
    if action.nargs == 0:
        return ""
    if action.choices:
        value = "|".join(map(str, action.choices))
    else:
        value = str(action.metavar or action.dest.upper())
    if action.option_strings and action.nargs == "?":
        return f"[{value}]"
    return f"{value} ..." if action.nargs in ("+", "*") else value


def _names(action: argparse.Action) -> str:
    return ", ".join(f"{name} {_value(action)}".strip() for name in action.option_strings or [""])


def _usage(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"[{_value(action)}]" if action.nargs in ("?", "*") else _value(action)
    told = f"{action.option_strings[0]} {_value(action)}".strip()
    return told if action.required else f"[{told}]"


def _help(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "segnas"}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
