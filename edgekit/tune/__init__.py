"""Tuning: a search for hyperparameters that processes and machines share."""
