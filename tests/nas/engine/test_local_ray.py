"""Ray on this machine, beside one that somebody else has started."""

import ray

from nas.config.resources import Resources
from nas.engine.cluster import Cluster


def test_a_search_without_an_address_has_a_ray_of_its_own(monkeypatch):
    """Ray by itself would look for one that runs here, and refuse to be told of CPUs then."""
    asked = {}
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: asked.update(options))
    Cluster(Resources(concurrent=1)).start()
    assert (asked["address"], asked["num_cpus"]) == ("local", 1)
