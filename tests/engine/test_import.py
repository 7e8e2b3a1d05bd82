"""What ``import engine`` brings in."""

import json
import subprocess
import sys


def _modules_after(statement):
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_engine_is_light():
    heavy = {
        "PySide6", "torch", "tensorflow", "keras", "scipy", "numba", "llvmlite", "cupy",
        "safetensors", "sklearn", "graphstudio", "networkx",
    }  # fmt: skip
    assert not _modules_after("import engine, engine.plan, engine.data, engine.checkpoint") & heavy
