"""The configuration of a run: strict models, and the YAML file that they are read from."""
