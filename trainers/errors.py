"""Errors that the person at the keyboard can mend, and what an error says in one line."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what is expected and what to do."""


class TrainingDivergedError(Exception):
    """The loss is no longer a number."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return str(error).strip().partition("\n")[0].strip() or type(error).__name__
