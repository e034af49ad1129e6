"""A number of things, in words."""


def counted(number: int, word: str) -> str:
    """`1 candidate`, `1,234 candidates`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
