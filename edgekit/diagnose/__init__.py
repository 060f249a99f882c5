"""Diagnosis: where a file's answers go wrong, why, and what mends it."""
