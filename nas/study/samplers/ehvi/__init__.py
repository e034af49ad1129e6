"""Expected hypervolume improvement, where costs are known before training and Dice is not."""
