"""Runs an exported folder on given samples and writes what came out.

Started as ``python -P run.py TARGET FOLDER SAMPLES RESULT`` in a process of its own. It imports
nothing of graphstudio: what it measures is the exported code, read from its files and run by the
framework alone.

``-P`` and loading by path are deliberate. Python would else put the script's folder, and with it
any ``torch.py`` or ``keras.py`` that lies there, before the installed packages. The exported
modules have everyday names (``data``, ``model``, ``train``), so the folder is not put on the path
at all: each file is loaded under its name, in the order in which they need each other.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

ORDER = ("layers", "losses", "optimizers", "weights", "model", "data", "train")


def load_module(name: str, path: Path) -> ModuleType:
    """Run a file as the module ``name``."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(target: str, folder: Path, samples: Path, result: Path) -> None:
    """Measure one target.

    The samples hold one array a data field: a batch for outputs, loss and gradients, then ``steps``
    batches for a short training. The results are named ``output/NAME``, ``loss``,
    ``gradient/NAME``, ``state/NAME`` (after the first step of that training) and ``curve``.
    """
    driver = load_module("graphstudio_driver", Path(__file__).with_name(f"{target}_driver.py"))
    modules = {
        name: load_module(name, folder / f"{name}.py")
        for name in ORDER
        if (folder / f"{name}.py").is_file()
    }
    with safe_open(samples, framework="numpy") as file:
        options = json.loads(file.metadata()["options"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # The exported pipeline itself makes the batches, so that its layout is tried as well. Only
    # the training split is shuffled.
    vars(modules["data"])["load_data"] = lambda: {"validation": arrays}
    found = driver.measure(modules, folder / "weights.safetensors", options)
    for name, order in options["channels_last"].items():
        if order:
            for key in (f"output/{name}", f"oracle/output/{name}"):
                if key in found:
                    found[key] = np.moveaxis(found[key], -1, 1)
    save_file({k: np.asarray(v, order="C") for k, v in found.items()}, result)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:5]))
