"""An exported network as a file that runs without segnas: written, checked, opened."""
