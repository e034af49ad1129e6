"""Data sets with open downloads: which there are, and how one comes whole onto the disk."""
