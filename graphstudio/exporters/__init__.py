"""Scripts in PyTorch, TensorFlow and Keras that give the same numbers as the engine."""
