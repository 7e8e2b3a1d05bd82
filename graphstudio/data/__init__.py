"""Data sources: what a project can learn from, one file each."""
