"""Optimisers as a user chooses them: parameters, and their name in each framework."""
