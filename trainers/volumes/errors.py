"""What the person at the keyboard can mend."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what is expected and what to do."""
