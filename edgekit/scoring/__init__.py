"""Scoring: how good a model's answers are, measured against labels."""
