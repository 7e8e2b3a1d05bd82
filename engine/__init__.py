"""A small deep-learning library: tensors with automatic differentiation, layers, and compiled plans."""
