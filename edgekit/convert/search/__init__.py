"""Search: the smallest or fastest file that meets an accuracy budget."""
