"""Data: reading, checking, preparing, caching, splitting and sampling volumes."""
