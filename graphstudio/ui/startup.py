"""What must be true before a window can open. Imports no Qt, so that it can say what is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import sys


def refusal(python: tuple[int, int], pyside: str) -> str:
    """Why these versions cannot be used together, or an empty text.

    PySide6 6.12 loses one reference to None with every call that returns nothing; before Python
    3.12 that ends the process within seconds. 6.11.0 and 6.11.1 stop laying out the window.
    """
    parts = tuple(int(p) for p in pyside.split(".")[:3] if p.isdigit())
    found = f"{python[0]}.{python[1]}"
    if parts[:2] == (6, 12) and python < (3, 12):
        return (
            f"PySide6 {pyside} ends the program without warning on Python {found}. "
            'Install an earlier one with: pip install "PySide6-Essentials>=6.11.2,<6.12"'
        )
    if parts in ((6, 11, 0), (6, 11, 1)):
        return (
            f"PySide6 {pyside} cannot move panels. "
            'Install another one with: pip install "PySide6-Essentials>=6.11.2,<6.12"'
        )
    if parts and parts < (6, 10, 2):
        return (
            f"PySide6 {pyside} is too old. "
            'Install a newer one with: pip install "PySide6-Essentials>=6.11.2,<6.12"'
        )
    return ""


def versions_problem() -> str:
    """``refusal`` for what is installed here; also says if PySide6 is missing."""
    try:
        pyside = importlib.metadata.version("PySide6-Essentials")
    except importlib.metadata.PackageNotFoundError:
        return "PySide6 is not installed. Install it with: pip install graphstudio"
    return refusal(sys.version_info[:2], pyside)


def has_display() -> bool:
    """True if a window can be shown; only Linux and its relatives can lack a display."""
    if sys.platform in ("win32", "darwin", "cygwin"):
        return True
    if os.environ.get("QT_QPA_PLATFORM", "").split(":")[0] in ("offscreen", "minimal", "vnc"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
