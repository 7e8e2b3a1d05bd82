"""Draw a neural network, train it, watch it learn, export code that gives the same numbers."""

__version__ = "0.1.0"
