"""What `benchmarks/planted.py` is made of: small trained networks, and faults to put into their files."""
