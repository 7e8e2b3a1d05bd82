"""Use cases with explicit arguments: open, save, check, train, export, verify."""
