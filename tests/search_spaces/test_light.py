"""What is told of a space loads no torch: a command that lists spaces answers at once."""

from tests.processes import printed_by

LISTING = """
import json, sys
from search_spaces import all_params, fitting, registry, space, translation

for found in registry.all_spaces().values():
    assert found.size() > 1 and found.knobs() and all_params.all_params(found.kind)
    space.knob_table(found)
    for point in [*found.presets().values(), found.sample(space.RandomTrial())]:
        assert len(point.key) == 10 and point.stride() > 1 and point.picture()
        again = registry.load_architecture(json.loads(json.dumps(
            registry.architecture_record(point))))
        assert again == point
        fitting.fit(point, {})
        translation.translate(point, registry.find_space("hybrid"))
heavy = {"torch", "monai", "numpy"} & sys.modules.keys()
assert not heavy, heavy
registry.find_preset("hybrid-xs").build(1, 2)
assert "torch" in sys.modules
"""


def test_all_that_is_told_of_the_spaces_loads_no_torch():
    printed_by(LISTING)
