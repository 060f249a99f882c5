"""What `benchmarks/compatibility.py` is made of: a corpus of files, environments, trials, a table."""
