"""A fixed search and a fixed training, whose results no change of form may change."""
