"""What every test gets: an invisible Qt, its own folders for settings and state, English texts."""

from __future__ import annotations

import os

# Before anything imports Qt, a framework or a BLAS; the real-window stories override the platform.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_SCALE_FACTOR", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes share two cores
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")
os.environ["GRAPHSTUDIO_LANGUAGE"] = "en"  # the command line asks the locale

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("graphstudio", deadline=None, derandomize=True, database=None)
settings.load_profile("graphstudio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in real windows come last and one after the other; other files stay whole.

    With several processes (``-n 2 --dist loadgroup``) a group is run by one of them.
    """
    items.sort(key=lambda item: item.get_closest_marker("window") is not None)
    for item in items:
        window = item.get_closest_marker("window") is not None
        item.add_marker(pytest.mark.xdist_group("window" if window else str(item.path)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, state and caches of the user running the tests are neither read nor written."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(home / variable.lower()))
    for kind in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"GRAPHSTUDIO_{kind}_DIR", str(home / kind.lower()))
    return home


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A test that switches the language leaves the next one in English."""
    yield
    from graphstudio import i18n

    i18n.set_language("en")
