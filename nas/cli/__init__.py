"""The commands of `segnas`, and the tables that they print."""
