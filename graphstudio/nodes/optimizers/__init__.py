"""Optimisers as a user chooses them: parameters, and their name in each framework."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import types
from collections.abc import Mapping

from graphstudio.nodes.optimizers.spec import OPTIMIZERS, Optimizer

__all__ = ["Optimizer", "optimizers"]


@functools.cache
def optimizers() -> Mapping[str, type[Optimizer]]:
    """All optimisers by kind, in the order of their modules. Read-only."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        importlib.import_module(f"{__name__}.{module.name}")
    return types.MappingProxyType(OPTIMIZERS)
