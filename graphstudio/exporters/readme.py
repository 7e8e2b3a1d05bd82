"""README of an exported folder."""

from __future__ import annotations

from graphstudio.exporters.base import Emission, optimizer_of
from graphstudio.nodes.types import format_shape

_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow", "keras": "Keras 3"}

_RESULT = {
    "pytorch": "`trained/weights.safetensors`",
    "tensorflow": "`trained/weights.safetensors` and the SavedModel `trained/saved_model`",
    "keras": "`trained/weights.safetensors` and `trained/model.keras`",
}

_USE = {
    "pytorch": """
```python
import torch
from safetensors.torch import load_file

from model import CLASS

model = CLASS()
model.load_state_dict(load_file("weights.safetensors"))
model.eval()
with torch.inference_mode():
    result = model(INPUTS)
```
""",
    "tensorflow": """
```python
import tensorflow as tf

model = tf.saved_model.load("trained/saved_model")
result = model.serve(INPUTS)  # a dict of the outputs
```

or, without training first:

```python
from model import CLASS
from weights import load_weights

model = CLASS()
load_weights(model, "weights.safetensors")
result = model(INPUTS, training=False)
```
""",
    "keras": """
```python
import keras

model = keras.saving.load_model("trained/model.keras", compile=False)
result = model.predict(INPUTS)
```

or, without training first:

```python
from model import build_model
from weights import load_weights

model = build_model()
load_weights(model, "weights.safetensors")
result = model.predict(INPUTS)
```
""",
}

_FILES = {
    "model.py": "the network",
    "layers.py": "the layers that the network is made of",
    "data.py": "reads the samples, divides them into three splits, makes batches",
    "train.py": "loss, metrics, optimizer, training loop",
    "losses.py": "losses that the framework does not have",
    "optimizers.py": "the optimizer",
    "weights.py": "reads and writes the weights file",
    "weights.safetensors": "the weights, under PyTorch's names and in its layouts",
    "requirements.txt": "what has to be installed",
}


def readme(e: Emission, cls: str, files: set[str] | None = None) -> str:
    """The text of ``README.md``. Nothing that a user has typed enters it."""
    target = e.target
    present = files or {"model.py", "data.py", "train.py"}
    rows = [
        f"| `{name}` | {what} |"
        for name, what in _FILES.items()
        if name in present | {"weights.safetensors", "requirements.txt"}
    ]
    names = [n.name for n in e.model_inputs]
    inputs = ", ".join(names)
    if target == "keras" and len(names) > 1:
        inputs = "{" + ", ".join(f'"{n}": {n}' for n in names) + "}"
    use = _USE[target].replace("CLASS", cls).replace("INPUTS", inputs).strip("\n")
    notes = "\n".join(f"- {note}" for note in _notes(e))
    return f"""# {_NAMES[target]} export

A network drawn with graphstudio, as a script of its own: nothing here needs graphstudio.

## Run it

```sh
python -m pip install -r requirements.txt
python train.py                                 # trains new weights, then evaluates them
python train.py --weights weights.safetensors   # goes on from the weights in this folder
python train.py --evaluate                      # evaluates the weights in this folder
```

`python train.py --help` lists all options. Training leaves {_RESULT[target]}.

| File | What it is |
|---|---|
{chr(10).join(rows)}

## Use it

{use}

{_shapes(e)}

## What to expect of the numbers

{notes}
"""


def _shapes(e: Emission) -> str:
    """What goes into the model and what comes out, with the axes as the target has them."""
    read = [
        f"`{f.name}` {format_shape(f.layout.shape(f.type.shape))}"
        for f in e.feeds
        if f.node in e.model_inputs
    ]
    given = [
        f"`{e.graph.by_id[i].name}` {format_shape(v.layout.shape(v.type.shape))}"
        for i, v in e.outputs.items()
    ]
    return f"The model reads {' and '.join(read)}, float32, and gives {' and '.join(given)}."


def _notes(e: Emission) -> list[str]:
    kinds = {n.spec.type_id for n in e.graph.nodes}
    notes = [
        "With the same weights, outputs, loss and gradients agree with the engine of graphstudio "
        "to about 1e-6 of their largest value: float32 sums in another order.",
        "New weights are drawn from the same distributions, not from the same random numbers, and "
        "the samples are shuffled in another order, so two trainings are alike but not equal.",
    ]
    if e.physical_images:
        notes.append(
            "Images have their channels last here, (N, H, W, C); `data.py` moves the axis once. "
            "The weights file keeps PyTorch's layout, and `weights.py` turns the axes."
        )
    if e.target == "keras" and optimizer_of(e.graph).kind == "adam":
        notes.append(
            "Keras's Adam adds epsilon to the root before the bias correction, PyTorch's and "
            "graphstudio's after it. The early steps differ by about epsilon divided by the size "
            "of the gradients: some 1e-4 of the way after 25 steps at an epsilon of 1e-7."
        )
    if e.target == "keras" and "layer.batch_norm" in kinds:
        notes.append(
            "Keras's BatchNormalization keeps the biased variance of each batch, graphstudio and "
            "PyTorch the unbiased one. After training, the moving variance is lower by about 1/n "
            "(n: samples times pixels of a batch), which shows in evaluation only. Outputs and "
            "gradients in training mode are equal."
        )
    if "layer.dropout" in kinds:
        notes.append("Dropout draws other random numbers in every framework.")
    return notes
