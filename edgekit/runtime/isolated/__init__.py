"""Isolated runners: a file is opened and run in a sandboxed child, over memory that caller and child share."""
