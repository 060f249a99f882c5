"""Model files as bytes: readers, checks and patches, with numpy and the standard library alone."""
