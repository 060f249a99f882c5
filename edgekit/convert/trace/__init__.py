"""A Keras model as one TensorFlow graph that both converters take."""
