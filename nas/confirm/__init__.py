"""How sure a front is: candidates trained again with other seeds, and what that says of them."""

from nas.confirm.chance import Confirmed, chances
from nas.confirm.nearest import nearest
from nas.confirm.repeats import Outcome, Repeat

__all__ = ["Confirmed", "Outcome", "Repeat", "chances", "nearest"]
