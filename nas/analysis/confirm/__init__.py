"""How sure a front is: candidates trained again with other seeds, and what that says of them."""

from nas.analysis.confirm.candidates_near_front import nearest_to_front
from nas.analysis.confirm.front_probability import Confirmed, front_chances
from nas.analysis.confirm.repeats import Outcome, Repeat

__all__ = ["Confirmed", "Outcome", "Repeat", "front_chances", "nearest_to_front"]
