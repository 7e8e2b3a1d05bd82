"""Turns a checked graph into an engine plan."""
