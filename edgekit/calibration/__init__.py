"""Calibration: which range of float values each activation of an integer file can express."""
