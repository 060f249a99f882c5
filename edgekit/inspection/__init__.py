"""What a model file holds, what it costs, and which interpreters run it; without TensorFlow."""
