"""Which cases are of one patient, as far as their names tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trainers.data.config import Groups

SEPARATORS = "_.-"
FEWEST = 5  # groups: fewer are sites or scanners
MEAN_SIZE = 8  # cases of a group, in the mean, at most
LARGEST = 0.2  # share of the cases in one group, at most


def groups_by_name(names: Sequence[str]) -> Groups | None:
    """A pattern that captures what several names begin with, up to and including a number.

    The shortest such beginning that leaves enough groups of a moderate size; None where there is
    none. Numbers alone, such as `case_001` and `case_002`, suggest nothing.
    """
    words = [re.split(f"([{SEPARATORS}])", name) for name in names]  # separators are words, too
    for length in range(1, min(map(len, words), default=0) + 1, 2):
        if all(re.search(r"\d", word[length - 1]) for word in words):
            pattern = _pattern([word[: length + 1] for word in words], length)
            found = [re.search(pattern, name) for name in names]
            patients = Counter(one[1] for one in found if one)
            if patients.total() == len(names) and _plausible(patients):
                return Groups(pattern=pattern)
    return None


def _plausible(patients: Counter[str]) -> bool:
    cases, groups = patients.total(), len(patients)
    return (
        FEWEST <= groups < cases
        and cases / groups <= MEAN_SIZE
        and max(patients.values()) <= max(LARGEST * cases, 2)
    )


def _pattern(words: Sequence[Sequence[str]], length: int) -> str:
    """Captures the first `length` words; those that differ become classes of characters."""
    columns = zip(*(word[:length] for word in words), strict=True)
    captured = "".join(_one_for_all(column) for column in columns)
    after = {"".join(word[length:]) for word in words}
    end = re.escape(after.pop()) if len(after) == 1 else f"(?:[{SEPARATORS}]|$)"
    return f"^({captured}){end or '$'}"


def _one_for_all(words: Sequence[str]) -> str:
    if len(set(words)) == 1:
        return re.escape(words[0]).replace("\\-", "-")
    if set(words) <= set(SEPARATORS):
        return f"[{SEPARATORS}]"
    stems = {re.sub(r"\d+$", "", word) for word in words}
    if len(stems) == 1 and all(re.search(r"\d$", word) for word in words):
        return re.escape(stems.pop()) + r"\d+"
    return f"[^{SEPARATORS}]+"
