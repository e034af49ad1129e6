"""How sure a front is: candidates trained again with other seeds, and what that says of them."""

from nas.analysis.confirm.candidates_near_front import nearest
from nas.analysis.confirm.front_probability import Confirmed, chances
from nas.analysis.confirm.repeats import Outcome, Repeat

__all__ = ["Confirmed", "Outcome", "Repeat", "chances", "nearest"]
