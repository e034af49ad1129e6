"""Which network is better: results, objectives, the Pareto front, budgets and picks."""
