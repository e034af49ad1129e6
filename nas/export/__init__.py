"""A network that was chosen: its folder, its retraining, its model card, its deployment."""
