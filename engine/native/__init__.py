"""Native programs: a plan's kernels generated as LLVM IR, for the processor at hand.

One call runs a whole program (a training step, an evaluation) on all threads, with barriers
between its kernels and no Python in between. Without llvmlite everything runs on the NumPy
kernels of ``engine.ops``, slower and with the same results to float32 rounding.
"""

from __future__ import annotations

import os
from importlib.util import find_spec


def enabled() -> bool:
    """False if ``ENGINE_NATIVE=off`` or llvmlite is missing."""
    if os.environ.get("ENGINE_NATIVE", "").lower() in ("off", "0"):
        return False
    return find_spec("llvmlite") is not None
