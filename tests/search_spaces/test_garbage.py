"""Where no garbage is collected."""

import gc

import pytest

from search_spaces.garbage import gc_disabled


def test_the_garbage_collector_is_left_as_it_was():
    with pytest.raises(KeyError), gc_disabled():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
