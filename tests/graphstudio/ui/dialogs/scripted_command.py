"""Stands in for ``graphstudio export|verify ... --json``: writes its arguments, answers as told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ENGINE = [2.0, 1.0, 0.5]
SAME = {
    "ok": True,
    "outputs": 2e-7,
    "loss": 0.0,
    "gradients": 3.1e-6,
    "curve": 1.5e-6,
    "curves": {"engine": ENGINE, "target": [2.0, 1.0000001, 0.5]},
}
FAR = SAME | {"ok": False, "gradients": 0.25}
MISSING = {
    "ok": False,
    "error": "PyTorch is not installed ('torch' is missing), so its script was not run; "
    'install it with: pip install "graphstudio[exports]"',
}
REPORTS = {
    "same": {"verify": {"pytorch": SAME, "tensorflow": SAME, "keras": SAME}},
    "mixed": {"verify": {"pytorch": MISSING, "tensorflow": FAR, "keras": {"error": "it broke"}}},
    "refused": {"error": {"message": "the weights belong to another model", "hint": "Train it."}},
    "exported": {
        "export": {
            name: {"folder": f"/out/{name}", "warnings": []}
            for name in ("pytorch", "tensorflow", "keras")
        }
    },
    "half": {
        "export": {
            "pytorch": {"folder": "/out/pytorch", "warnings": []},
            "tensorflow": {"error": "no room left on the disk"},
            "keras": {"folder": "/out/keras", "warnings": []},
        }
    },
}


def main(how: str, notes: Path) -> None:
    notes.write_text(json.dumps({"argv": sys.argv[3:], "pid": os.getpid()}))
    sys.stderr.write("Verifying\r\x1b[2KRunning the exported scripts 40 %\n")
    sys.stderr.flush()
    match how:
        case "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            notes.write_text(
                json.dumps({"argv": sys.argv[3:], "pid": os.getpid(), "child": child.pid})
            )
            time.sleep(60)
        case "die":
            sys.stderr.write("MemoryError: here is why\n")
            sys.exit(9)
        case "abort":
            os.abort()
        case _:
            sys.stdout.write("some library said this first\n")
            sys.stdout.write(json.dumps(REPORTS[how]) + "\n")
            sys.exit(0 if how in ("same", "exported") else 1)


main(sys.argv[1], Path(sys.argv[2]))
