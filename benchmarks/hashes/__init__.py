"""What `unchanged.py` is made of: models that both trees export, their files' hashes, the comparison.

Nothing here relies on where a module of edgekit's stands: only on names that both trees have.
"""
