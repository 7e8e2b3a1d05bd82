"""Watching a training run: curves, progress, past runs, confusion matrix, log."""
