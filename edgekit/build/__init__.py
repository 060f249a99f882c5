"""Build: the whole way from a model to a bundle in one command, in which only what changed is done again."""
