"""Boards: single-board computers, real over SSH or emulated on this machine. Needs no TensorFlow."""
