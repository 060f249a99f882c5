"""Causes: each file looks for one kind of fault, and proves it by its effect on the outputs."""
