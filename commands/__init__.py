"""What train.py and evaluate.py do once their arguments are right and torch has been imported."""
