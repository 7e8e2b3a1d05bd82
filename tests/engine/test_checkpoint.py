"""Saving and loading of named arrays."""

import os

import numpy as np
import pytest

import engine
from engine import checkpoint, nn, ops
from engine.data import ArrayDataset, DataLoader
from engine.errors import EngineError


def test_arrays_and_texts_come_back(tmp_path, rng):
    arrays = {
        "a": rng.normal(size=(2, 3)).astype(np.float32),
        "turned": rng.normal(size=(2, 3, 4)).transpose(2, 0, 1),
        "scalar": np.array(3, np.int64),
        "empty": np.empty((0, 2), np.float32),
    }
    checkpoint.save(tmp_path / "w.safetensors", arrays, {"epoch": "3"})
    loaded, metadata = checkpoint.load(tmp_path / "w.safetensors")
    assert metadata == {"epoch": "3"}
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape


@pytest.mark.torch
def test_weights_that_torch_saved_in_16_bits_are_taken(tmp_path):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    wide = torch.randn(4, 3)
    path = tmp_path / "w.safetensors"
    for kind in (torch.bfloat16, torch.float16):
        narrow = {"weight": wide.to(kind), "bias": torch.zeros(4, dtype=kind)}
        save_file(narrow, path)
        layer = nn.Linear(3, 4)
        layer.load_state_dict(checkpoint.load(path)[0])
        assert layer.weight.dtype == np.float32
        np.testing.assert_array_equal(layer.weight.numpy(), narrow["weight"].float().numpy())


@pytest.mark.torch
def test_a_type_of_which_no_array_can_be_is_named(tmp_path):
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(2).to(torch.float8_e5m2)}, path)
    with pytest.raises(EngineError, match="holds 'w' as F8_E5M2; expected one of F64"):
        checkpoint.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, {"a": np.zeros(1)})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"a": np.ones(1)})
    monkeypatch.undo()
    assert checkpoint.load(path)[0]["a"].tolist() == [0.0]
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_saving_through_a_link_keeps_the_link(tmp_path):
    checkpoint.save(tmp_path / "real", {"a": np.zeros(1)})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint.save(tmp_path / "link", {"a": np.ones(1)})
    assert (tmp_path / "link").is_symlink()
    assert checkpoint.load(tmp_path / "real")[0]["a"].tolist() == [1.0]


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(EngineError, match="safetensors"):
        checkpoint.load(tmp_path / "w")


def test_a_cut_off_file_is_refused(tmp_path):
    path = tmp_path / "w"
    checkpoint.save(path, {"a": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(EngineError, match="safetensors"):
        checkpoint.load(path)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "none")


@pytest.mark.parametrize("value", [{"a": 1}, 3, "text", np.array("text"), None])
def test_what_is_no_array_is_named(tmp_path, value):
    with pytest.raises(EngineError, match="under 'w'; expected an array of numbers"):
        checkpoint.save(tmp_path / "w", {"w": value})
    assert os.listdir(tmp_path) == []


def test_tensors_are_arrays(tmp_path):
    checkpoint.save(tmp_path / "w", {"w": engine.tensor([1.0, 2.0])})
    assert checkpoint.load(tmp_path / "w")[0]["w"].tolist() == [1.0, 2.0]


class Run:
    """A training run with everything that has a state: weights, moments, order, noise, rate."""

    def __init__(self, seed):
        engine.manual_seed(seed)
        self.model = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2)
        )
        self.optimizer = engine.optim.Adam(0.01, parameters=self.model.parameters())
        self.plateau = engine.optim.schedules.Plateau(patience=0)
        rng = np.random.default_rng(0)
        data = {"x": rng.normal(size=(20, 3)).astype(np.float32), "y": rng.integers(0, 2, 20)}
        self.loader = DataLoader(ArrayDataset(data), 3, shuffle=True, seed=seed)
        self.batches = self.passes()
        self.parts = {
            "model": self.model, "optimizer": self.optimizer, "plateau": self.plateau,
            "loader": self.loader, "random": engine.random.sequence,
        }  # fmt: skip

    def passes(self):
        while True:
            yield from self.loader

    def steps(self, count):
        losses = []
        for _ in range(count):
            batch = next(self.batches)
            loss = ops.cross_entropy(
                self.model(engine.tensor(batch["x"])), engine.tensor(batch["y"])
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.learning_rate = 0.01 * self.plateau.update(loss.item())
            self.optimizer.step()
            losses.append(loss.item())
        return losses


def test_a_run_goes_on_in_the_middle_of_a_pass_with_the_same_bytes(tmp_path):
    whole = Run(seed=1)
    whole.steps(10)
    checkpoint.save_states(tmp_path / "run", **whole.parts, epoch=1, history=[0.5, {"best": 0.25}])
    expected = whole.steps(9), whole.model.state_dict()
    resumed = Run(seed=2)
    rest = checkpoint.load_states(tmp_path / "run", **resumed.parts)
    assert rest == {"epoch": 1, "history": [0.5, {"best": 0.25}]}
    assert resumed.steps(9) == expected[0]
    for name, array in resumed.model.state_dict().items():
        assert array.tobytes() == expected[1][name].tobytes()


def test_plain_values_and_arrays_of_a_state_come_back(tmp_path):
    state = {
        "none": None, "yes": True, "huge": 2**70, "inf": float("inf"), "third": 1 / 3, "text": "ä",
        "numpy": np.float64(0.1), "list": [np.arange(3), (1, 2)],
        "nested": {"a": {"b": np.ones(2)}},
    }  # fmt: skip
    checkpoint.save_states(tmp_path / "run", state=state)
    loaded = checkpoint.load_states(tmp_path / "run")["state"]
    assert {k: loaded[k] for k in list(state)[:7]} == {k: state[k] for k in list(state)[:7]}
    assert loaded["list"][0].tolist() == [0, 1, 2]
    assert loaded["list"][1] == [1, 2]
    assert loaded["nested"]["a"]["b"].tolist() == [1.0, 1.0]
    arrays, _ = checkpoint.load(tmp_path / "run")
    assert sorted(arrays) == ["state.list.0", "state.nested.a.b"]


def test_states_that_cannot_be_are_refused(tmp_path):
    path = tmp_path / "run"
    for wrong in (object(), {1: 2}, [lambda: 0]):
        with pytest.raises(EngineError, match=r"as (wrong|wrong\.0); expected something with"):
            checkpoint.save_states(path, wrong=wrong)
    with pytest.raises(EngineError, match=r"two arrays called 'a\.b'"):
        checkpoint.save_states(path, **{"a": {"b": np.ones(1)}, "a.b": np.ones(1)})
    checkpoint.save(path, {"w": np.ones(1)})
    with pytest.raises(EngineError, match="holds arrays only; expected what save_states writes"):
        checkpoint.load_states(path)
    checkpoint.save_states(path, epoch=3)
    with pytest.raises(EngineError, match="lacks model; it has epoch"):
        checkpoint.load_states(path, model=nn.Linear(2, 2))
