"""Is every volume what its source says, and is the set fit to learn from? Read once, said by case.

`check_dataset` refuses and warns; `examine` only looks, and `parts.check_parts` looks at a split.
"""

from trainers.data.check.facts import Progress
from trainers.data.check.run import check_dataset, examine

__all__ = ["Progress", "check_dataset", "examine"]
