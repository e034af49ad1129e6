"""What workers do before the candidates of a search whose weights are shared."""
