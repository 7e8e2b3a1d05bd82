"""The command line: the whole work of the program without a display."""

from graphstudio.cli.main import main

__all__ = ["main"]
