"""Calibration: which range of real values each activation of an integer file can express."""
