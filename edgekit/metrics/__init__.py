"""Distances between answers, and scores against labels: pure numpy."""
