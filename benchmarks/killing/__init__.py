"""What `benchmarks/kills.py` does to commands: which, in what kind of process, and what is looked for after."""
