"""The code panel: the exported script, live, tied to the selection."""
