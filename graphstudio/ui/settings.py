"""What the program remembers about its user: one typed JSON file, never the platform's registry.

``QSettings`` gives numbers back as text and one-item lists as a string, so only a file with a
declared type for every entry is trusted. A broken entry falls back to its default; a broken file is
set aside, never a reason not to start.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from graphstudio.document.storage import replace_file
from graphstudio.i18n import LANGUAGES

log = logging.getLogger(__name__)

MAX_RECENT = 12


def config_dir() -> Path:
    """Folder of the settings; ``GRAPHSTUDIO_CONFIG_DIR`` moves it (tests, portable use)."""
    moved = os.environ.get("GRAPHSTUDIO_CONFIG_DIR")
    return (
        Path(moved) if moved else Path(platformdirs.user_config_dir("graphstudio", appauthor=False))
    )


def state_dir() -> Path:
    """Folder of recovery files and logs; ``GRAPHSTUDIO_STATE_DIR`` moves it."""
    moved = os.environ.get("GRAPHSTUDIO_STATE_DIR")
    return (
        Path(moved) if moved else Path(platformdirs.user_state_dir("graphstudio", appauthor=False))
    )


@dataclass
class Settings:
    """Entries with their defaults; ``load`` checks each against the type of its default."""

    theme: str = "system"
    """``dark``, ``light`` or ``system``."""
    language: str = ""
    """Empty: that of the system, if there is a catalogue for it."""
    code_target: str = "pytorch"
    recent: list[str] = field(default_factory=list)
    """Paths of projects, the latest first."""
    recent_types: list[str] = field(default_factory=list)
    """Node types that were added last, the latest first."""
    last_folder: str = ""
    last_example: str = ""
    geometry: str = ""
    layout: str = ""
    layout_version: int = 0
    layout_width: int = 0
    layout_height: int = 0
    """Size of the window in which the panels had the sizes of the layout."""
    show_start_page: bool = True
    autosave: bool = True

    @classmethod
    def load(cls, path: Path | None = None) -> Settings:
        """Settings from the file; defaults for whatever is missing or of another type."""
        path = path or cls.path()
        settings = cls()
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return settings
        except (OSError, ValueError) as error:
            log.warning("settings in %s cannot be read (%s); using the defaults", path, error)
            return settings
        if isinstance(stored, dict):
            for f in fields(cls):
                value = stored.get(f.name)
                if _is_like(value, getattr(settings, f.name)):
                    setattr(settings, f.name, value)
        if settings.theme not in ("dark", "light", "system"):
            settings.theme = "system"
        if settings.language not in ("", *LANGUAGES):
            settings.language = ""
        return settings

    def save(self, path: Path | None = None) -> None:
        """Write the file, whole or not at all. A disk that refuses costs no more than memory."""
        path = path or self.path()
        text = json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)
        try:
            write_atomic(path, text)
        except OSError as error:
            log.warning("settings cannot be kept in %s: %s", path, error)

    @staticmethod
    def path() -> Path:
        return config_dir() / "settings.json"

    def remember_project(self, path: Path) -> None:
        """Put a project at the head of the recent ones."""
        entry = str(path.resolve())
        self.recent = [entry, *(p for p in self.recent if p != entry)][:MAX_RECENT]
        self.last_folder = str(path.resolve().parent)

    def forget_project(self, path: str) -> None:
        self.recent = [p for p in self.recent if p != path]


def write_atomic(path: Path, text: str) -> None:
    """Replace a file of the user's own, to be read by nobody else, as ``replace_file`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8"), mode=0o600)


def to_text(data: bytes) -> str:
    """Bytes of a window as they are kept in the settings."""
    return base64.b64encode(data).decode("ascii")


def to_bytes(text: str) -> bytes:
    """The reverse of ``to_text``; empty if the text is damaged."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, list):
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return type(value) is type(default)
