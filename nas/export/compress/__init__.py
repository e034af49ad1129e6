"""A trained network made smaller, as an export of its own."""
