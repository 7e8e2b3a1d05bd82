"""Runs the benchmarks and prints what each measured, beside the bar that it must reach.

A group is a module of this folder with ``measures()``, a generator of ``Measure``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from benchmarks.measure import Measure  # noqa: E402  # needs the path above


def groups() -> list[str]:
    """Names of the groups, which are the modules that are no part of the frame."""
    frame = {"run", "measure", "graphs"}
    return sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in frame)


def line(group: str, measure: Measure) -> str:
    """One measure as a row of the table."""
    value = f"{measure.value:.4g} {measure.unit}"
    bar = f"{measure.bar:g} {measure.unit}" if measure.bar is not None else ""
    verdict = {True: "ok", False: "MISSED", None: ""}[measure.held]
    return f"{group:<10} {measure.name:<58} {value:>14} {bar:>12}  {verdict}"


def main() -> int:
    """Exit code 1 if a bar was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", choices=groups(), help="groups to run; all if left out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all measures there")
    options = parser.parse_args()
    results: dict[str, dict[str, dict[str, object]]] = {}
    missed = False
    for group in options.only or groups():
        module = importlib.import_module(f"benchmarks.{group}")
        for measure in module.measures():
            print(line(group, measure), flush=True)
            missed |= measure.held is False
            results.setdefault(group, {})[measure.name] = measure.as_json()
    if options.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version}
        options.json.write_text(json.dumps({"about": machine, "measures": results}, indent=2))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
