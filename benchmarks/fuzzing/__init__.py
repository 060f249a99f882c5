"""The parts of `benchmarks/fuzz_models.py`: mutations, callers that suffer them, what is seen from outside."""
