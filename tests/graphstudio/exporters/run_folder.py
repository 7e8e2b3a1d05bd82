"""Runs an exported folder as its reader would, then reloads what it left.

Usage: python run_folder.py TARGET FOLDER; prints one JSON object.
"""

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

import numpy as np


def script(*args: str) -> str:
    """Run ``train.py`` with these arguments; returns what it printed."""
    sys.argv = ["train.py", *args]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path("train.py", run_name="__main__")
    return out.getvalue()


def reloaded(target: str) -> float:
    """Largest difference of the trained model, reloaded, from the one with the weights file."""
    trained = Path("trained")
    if target == "pytorch":
        import torch
        from data import make_loaders
        from model import Model
        from safetensors.torch import load_file

        images = next(iter(make_loaders(16)["test"]))[0]
        models = [Model(), Model()]
        for model in models:
            model.load_state_dict(load_file(trained / "weights.safetensors"))
            model.eval()
        with torch.inference_mode():
            one, two = (model(images).numpy() for model in models)
    elif target == "tensorflow":
        import tensorflow as tf
        from data import make_datasets
        from model import Model
        from weights import load_weights

        images = next(iter(make_datasets(16)["test"]))[0]
        model = Model()
        load_weights(model, trained / "weights.safetensors")
        one = model(images, training=False).numpy()
        loaded = tf.saved_model.load(str(trained / "saved_model"))
        two = next(iter(loaded.signatures["serving_default"](images).values())).numpy()
        direct = next(iter(loaded.serve(images).values())).numpy()
        assert np.array_equal(two, direct)
    else:
        import keras
        from data import load_arrays
        from model import build_model
        from weights import load_weights

        images = load_arrays()["test"][0][:16]
        model = build_model()
        load_weights(model, trained / "weights.safetensors")
        one = model.predict(images, verbose=0)
        loaded = keras.saving.load_model(trained / "model.keras")
        two = loaded.predict(images, verbose=0)
    return float(np.abs(one - two).max() / np.abs(one).max())


def main(target: str) -> None:
    shipped = script("--evaluate")
    trained = script("--epochs", "1")
    again = script("--evaluate", "--weights", "trained/weights.safetensors")
    report = {"shipped": shipped, "trained": trained, "again": again, "gap": reloaded(target)}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, ".")
    main(sys.argv[1])
