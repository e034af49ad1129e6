"""A search as it is seen from outside: its processes, its journal, its records in MLflow."""
