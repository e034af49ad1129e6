"""The Optuna study of a search, its journal on disk, and what is read back from it."""
