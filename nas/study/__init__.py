"""What was asked and told: the Optuna study, its journal on disk, and what is read back from it."""
