"""The installed Qt binding is one that graphstudio can live with."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest
from PySide6.QtCore import QObject


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_calls_that_return_nothing_keep_their_reference_to_none():
    """PySide6 6.12.0 on Python 3.11 gives one away a call, until the interpreter aborts."""
    thing = QObject()
    thing.setObjectName("warm")
    before = sys.getrefcount(None)
    for _ in range(2_000):  # well below the some 5,000 references that None has to lose
        thing.setObjectName("again")
    assert abs(sys.getrefcount(None) - before) < 200


def test_installed_binding_is_within_the_pin():
    version = tuple(map(int, importlib.metadata.version("PySide6-Essentials").split(".")[:3]))
    assert version >= (6, 10, 2)
    assert version not in {(6, 11, 0), (6, 11, 1)}
    assert sys.version_info >= (3, 12) or version < (6, 12)
