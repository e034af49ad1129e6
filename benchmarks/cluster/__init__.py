"""The parts of `cluster_size.py`."""
