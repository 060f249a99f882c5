"""Drift: does a model file still answer what the original model answered? Needs numpy only."""
