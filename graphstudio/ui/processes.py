"""How this program starts itself again for one of its commands, from an environment or frozen."""

from __future__ import annotations

import sys

from PySide6.QtCore import QProcessEnvironment

from graphstudio.training.client import worker_environment


def program_command(*arguments: str) -> list[str]:
    """Program and arguments of ``graphstudio ARGUMENTS...`` on the command line."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    # -P: a torch.py that lies beside the project is not what gets imported.
    return [sys.executable, "-P", "-m", "graphstudio", *arguments]


def child_environment() -> QProcessEnvironment:
    """Environment of a process that runs graphstudio's own code."""
    environment = QProcessEnvironment()
    for name, value in worker_environment().items():
        environment.insert(name, value)
    environment.insert("PYTHONFAULTHANDLER", "1")  # a segfault leaves a traceback for the log
    return environment
