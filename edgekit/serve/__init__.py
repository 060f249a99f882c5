"""Serving: model files over HTTP, in the Open Inference Protocol."""
