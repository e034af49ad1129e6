"""Searches replayed in simulated time on a table of trained networks."""
