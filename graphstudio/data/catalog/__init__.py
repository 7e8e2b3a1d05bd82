"""One file a data source. Calling ``discover`` registers all of them."""

from __future__ import annotations

import functools
import importlib
import pkgutil


@functools.cache
def discover() -> None:
    """Import every module of this package once; each registers its source."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        importlib.import_module(f"{__name__}.{module.name}")
