"""Measures several exported folders in one process, so that a framework is imported once.

Usage: python -P measure_all.py RUN_PY TARGET PLACE...; each PLACE holds ``export``,
``samples.safetensors`` and gets ``result.safetensors``.
"""

import importlib.util
import sys
from pathlib import Path


def main(run_py: Path, target: str, places: list[Path]) -> None:
    spec = importlib.util.spec_from_file_location("graphstudio_run", run_py)
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    for place in places:
        for name in run.ORDER:
            sys.modules.pop(name, None)
        run.main(
            target, place / "export", place / "samples.safetensors", place / "result.safetensors"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [Path(p) for p in sys.argv[3:]])
