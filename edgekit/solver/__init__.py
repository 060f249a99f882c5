"""The solver: which operators of a file compute in int8 and which in float, for the least cost at an error."""
