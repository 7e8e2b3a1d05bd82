"""Layers against PyTorch with the same weights, and what every module must keep."""

from __future__ import annotations

import numpy as np
import pytest

import engine
from engine import checkpoint, nn, ops
from engine.data import ArrayDataset, DataLoader
from engine.errors import EngineError, ShapeError


def _cnn() -> nn.Sequential:
    engine.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 4 * 4, 10),
    )  # fmt: skip


def test_names_follow_the_tree_and_are_pytorch_s() -> None:
    assert [name for name, _ in _cnn().named_parameters()] == [
        "0.weight", "1.weight", "1.bias", "6.weight", "6.bias",
    ]  # fmt: skip
    assert set(_cnn().state_dict()) - {n for n, _ in _cnn().named_parameters()} == {
        "1.running_mean", "1.running_var",
    }  # fmt: skip


@pytest.mark.torch
def test_same_weights_give_pytorch_s_outputs_and_gradients() -> None:
    import torch

    model = _cnn()
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1, bias=False), torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Dropout(0.0),
        torch.nn.Linear(64, 10),
    )  # fmt: skip
    state = {k: torch.from_numpy(v) for k, v in model.state_dict().items()}
    twin.load_state_dict(state, strict=False)
    model[5].p = 0.0  # type: ignore[attr-defined]
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    y = np.arange(5)
    loss = ops.cross_entropy(model(engine.tensor(x)), engine.tensor(y))
    loss.backward()
    expected = torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None, name
        np.testing.assert_allclose(
            ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(
        model[1].running_var.numpy(),  # type: ignore[attr-defined]
        twin[1].running_var.numpy(), rtol=1e-5,
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (lambda: nn.LayerNorm(6), lambda t: t.LayerNorm(6), (3, 4, 6)),
        (lambda: nn.GroupNorm(2, 4), lambda t: t.GroupNorm(2, 4), (3, 4, 5, 5)),
        (
            lambda: nn.ConvTranspose2d(3, 2, 3, 2, 1, 1),
            lambda t: t.ConvTranspose2d(3, 2, 3, 2, 1, 1),
            (2, 3, 4, 4),
        ),
        (lambda: nn.Linear(6, 2), lambda t: t.Linear(6, 2), (3, 4, 6)),
        (
            lambda: nn.Conv1d(4, 6, 3, 2, 1, 1, 2),
            lambda t: t.Conv1d(4, 6, 3, 2, 1, 1, 2),
            (2, 4, 7),
        ),
        (lambda: nn.Conv3d(2, 3, 2), lambda t: t.Conv3d(2, 3, 2), (2, 2, 3, 4, 3)),
        (
            lambda: nn.ConvTranspose1d(4, 2, 3, 2, groups=2, bias=False),
            lambda t: t.ConvTranspose1d(4, 2, 3, 2, groups=2, bias=False),
            (2, 4, 5),
        ),
        (
            lambda: nn.ConvTranspose3d(2, 3, 2, 2, dilation=2),
            lambda t: t.ConvTranspose3d(2, 3, 2, 2, dilation=2),
            (1, 2, 2, 3, 2),
        ),
        (lambda: nn.InstanceNorm(), lambda t: t.InstanceNorm2d(4), (3, 4, 5, 5)),
        (lambda: nn.InstanceNorm(4), lambda t: t.InstanceNorm2d(4, affine=True), (3, 4, 5, 5)),
        (lambda: nn.LocalResponseNorm(3, 0.5), lambda t: t.LocalResponseNorm(3, 0.5), (2, 5, 4, 3)),
        (lambda: nn.Hardtanh(-0.5, 1.5), lambda t: t.Hardtanh(-0.5, 1.5), (3, 4)),
        (lambda: nn.Threshold(0.1, -2.0), lambda t: t.Threshold(0.1, -2.0), (3, 4)),
        (lambda: nn.GLU(1), lambda t: t.GLU(1), (3, 4, 5)),
        (lambda: nn.PixelShuffle(2), lambda t: t.PixelShuffle(2), (2, 8, 3, 2)),
        (lambda: nn.Unflatten(2, 3), lambda t: t.Unflatten(1, (2, 3)), (4, 6)),
        (lambda: nn.Flatten(2), lambda t: t.Flatten(2), (2, 3, 4, 5)),
        (lambda: nn.Pad((1, (0, 2))), lambda t: t.ZeroPad2d((0, 2, 1, 1)), (2, 3, 4, 5)),
        (lambda: nn.Pad(2, "reflect"), lambda t: t.ReflectionPad1d(2), (2, 3, 4)),
        (lambda: nn.Pad(2, value=0.5), lambda t: t.ConstantPad3d(2, 0.5), (2, 3, 2, 2, 2)),
        (lambda: nn.Crop((1, (0, 2))), lambda t: t.ZeroPad2d((0, -2, -1, -1)), (2, 3, 4, 5)),
        (lambda: nn.AdaptiveAvgPool1d(3), lambda t: t.AdaptiveAvgPool1d(3), (2, 3, 7)),
        (lambda: nn.AdaptiveMaxPool1d(3), lambda t: t.AdaptiveMaxPool1d(3), (2, 3, 7)),
        (
            lambda: nn.Upsample(size=(7, 5), mode="bilinear"),
            lambda t: t.Upsample(size=(7, 5), mode="bilinear"),
            (2, 3, 4, 3),
        ),
        (
            lambda: nn.Conv2d(3, 4, (3, 5), padding="same", dilation=(2, 1)),
            lambda t: t.Conv2d(3, 4, (3, 5), padding="same", dilation=(2, 1)),
            (2, 3, 7, 8),
        ),
        (
            lambda: nn.Conv1d(3, 4, 2, 2, "valid"),
            lambda t: t.Conv1d(3, 4, 2, 2, "valid"),
            (2, 3, 7),
        ),
        (lambda: nn.RMSNorm(6), lambda t: t.RMSNorm(6, eps=1e-6), (3, 4, 6)),
        (lambda: nn.PReLU(4), lambda t: t.PReLU(4), (3, 4, 5)),
        (lambda: nn.MaxPool1d(3, 2, 1), lambda t: t.MaxPool1d(3, 2, 1), (2, 3, 8)),
        (
            lambda: nn.MaxPool2d(3, 2, 1, True),
            lambda t: t.MaxPool2d(3, 2, 1, ceil_mode=True),
            (2, 3, 8, 7),
        ),
        (lambda: nn.MaxPool3d(2), lambda t: t.MaxPool3d(2), (2, 3, 4, 4, 5)),
        (lambda: nn.AvgPool1d(3, 2, 1), lambda t: t.AvgPool1d(3, 2, 1), (2, 3, 8)),
        (
            lambda: nn.AvgPool2d(3, 2, 1, True, False),
            lambda t: t.AvgPool2d(3, 2, 1, True, False),
            (2, 3, 8, 7),
        ),
        (lambda: nn.AvgPool3d(2, 1), lambda t: t.AvgPool3d(2, 1), (2, 3, 4, 4, 5)),
        (lambda: nn.AdaptiveAvgPool2d((3, 2)), lambda t: t.AdaptiveAvgPool2d((3, 2)), (2, 3, 7, 5)),
        (lambda: nn.AdaptiveMaxPool2d((3, 2)), lambda t: t.AdaptiveMaxPool2d((3, 2)), (2, 3, 7, 5)),
        (
            lambda: nn.Upsample(2, "bilinear"),
            lambda t: t.Upsample(scale_factor=2, mode="bilinear"),
            (2, 3, 4, 3),
        ),
        (lambda: nn.ELU(0.5), lambda t: t.ELU(0.5), (3, 4)),
        (lambda: nn.LeakyReLU(0.2), lambda t: t.LeakyReLU(0.2), (3, 4)),
        (lambda: nn.LogSoftmax(), lambda t: t.LogSoftmax(-1), (3, 4)),
        (lambda: nn.Softmax(1), lambda t: t.Softmax(1), (3, 4, 2)),
        *(
            (lambda n=n: getattr(nn, n)(), lambda t, n=n: getattr(t, n)(), (3, 4))
            for n in (
                "GELU",
                "LogSigmoid",
                "Softsign",
                "Hardsigmoid",
                "Hardswish",
                "Identity",
                "Mish",
                "ReLU",
                "ReLU6",
                "SELU",
                "SiLU",
                "Sigmoid",
                "Softplus",
                "Tanh",
            )
        ),
    ],
)
def test_layer_equals_pytorch_s(ours, theirs, shape) -> None:  # type: ignore[no-untyped-def]
    import torch

    engine.manual_seed(0)

    layer, twin = ours(), theirs(torch.nn)
    twin.load_state_dict({k: torch.from_numpy(v) for k, v in layer.state_dict().items()})
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(
        layer(engine.tensor(x)).numpy(), twin(torch.from_numpy(x)).detach().numpy(),
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip


@pytest.mark.torch
def test_attention_equals_pytorch_s() -> None:
    import torch

    layer = nn.MultiheadAttention(8, 2)
    twin = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    twin.load_state_dict({k: torch.from_numpy(v) for k, v in layer.state_dict().items()})
    x = np.random.default_rng(3).normal(size=(2, 5, 8)).astype(np.float32)
    t, e = torch.from_numpy(x), engine.tensor(x)
    drop = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    expected = twin(t, t, t, attn_mask=drop, need_weights=False)[0].detach().numpy()
    np.testing.assert_allclose(layer(e, e, e, is_causal=True).numpy(), expected, atol=1e-5)


def test_training_loop_of_a_tutorial_learns() -> None:
    engine.manual_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = engine.optim.Adam(0.01, parameters=model.parameters())
    loader = DataLoader(ArrayDataset({"x": x, "y": y}), batch_size=32, shuffle=True, seed=0)
    for _ in range(60):
        for batch in loader:
            loss = ops.cross_entropy(model(engine.tensor(batch["x"])), engine.tensor(batch["y"]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with engine.no_grad():
        logits = model.eval()(engine.tensor(x))
    assert ops.accuracy(logits, engine.tensor(y)).item() > 0.95


def test_eval_stops_dropout_and_freezes_statistics() -> None:
    model = _cnn()
    x = engine.tensor(np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32))
    model.eval()
    before = model.state_dict()
    first, second = model(x).numpy(), model(x).numpy()
    np.testing.assert_array_equal(first, second)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_weights_go_through_a_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = _cnn()
    checkpoint.save(tmp_path / "w.safetensors", model.state_dict())
    engine.manual_seed(9)
    other = _cnn_with_seed(9)
    other.load_state_dict(checkpoint.load(tmp_path / "w.safetensors")[0])
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)


def _cnn_with_seed(seed: int) -> nn.Sequential:
    engine.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 4 * 4, 10),
    )  # fmt: skip


def test_wrong_weights_change_nothing_and_say_what_is_wrong() -> None:
    model = nn.Linear(3, 2)
    before = model.state_dict()
    with pytest.raises(EngineError, match="lacks bias and has unknown scale"):
        model.load_state_dict({"weight": before["weight"], "scale": before["bias"]})
    with pytest.raises(ShapeError, match=r"'weight' \(3, 2\); expected \(2, 3\)"):
        model.load_state_dict({"weight": before["weight"].T, "bias": before["bias"]})
    np.testing.assert_array_equal(model.state_dict()["weight"], before["weight"])


def test_shared_weights_are_one_parameter() -> None:
    first = nn.Linear(4, 4)
    model = nn.Sequential(first, nn.ReLU(), first)
    assert len(model.parameters()) == 2
    assert model.num_parameters == 20


def test_same_seed_gives_same_weights() -> None:
    a, b = _cnn_with_seed(3).state_dict(), _cnn_with_seed(3).state_dict()
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["0.weight"], _cnn_with_seed(4).state_dict()["0.weight"])


@pytest.mark.parametrize(
    "make", [nn.AlphaDropout, nn.DropPath, nn.SpatialDropout, nn.GaussianNoise, nn.Dropout]
)
def test_noise_is_there_in_training_only(make) -> None:  # type: ignore[no-untyped-def]
    layer, x = make(0.5), engine.tensor(np.ones((2, 3, 4, 4), np.float32))
    assert (layer(x).numpy() != 1.0).any()
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


def test_groups_must_divide_the_channels() -> None:
    for layer in (nn.Conv2d, nn.ConvTranspose2d):
        with pytest.raises(EngineError, match="found groups=2 for 3 input"):
            layer(3, 4, 3, groups=2)


@pytest.mark.parametrize("wrong", [1.5, -0.1, 1.0, "half", None, float("nan")])
def test_a_share_to_drop_out_of_range_is_named(wrong):
    with pytest.raises(EngineError, match=r"Dropout found p="):
        nn.Dropout(wrong)


@pytest.mark.parametrize("kind", [list, tuple, lambda modules: dict(enumerate(modules))])
def test_modules_in_a_plain_container_are_refused(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = kind([nn.Linear(2, 2), nn.ReLU()])

        def forward(self, x):
            return x

    with pytest.raises(EngineError, match=r"Net\.layers found modules .* Module(List|Dict)"):
        Net()


@pytest.mark.parametrize("kind", [list, dict])
def test_parameters_in_a_plain_container_are_refused(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weights = [engine.tensor([1.0], requires_grad=True) for _ in range(2)]
            self.weights = kind(enumerate(weights)) if kind is dict else weights

        def forward(self, x):
            return x

    with pytest.raises(EngineError, match=r"Net\.weights found parameters .* an attribute"):
        Net()


class Remembers(nn.Module):
    """Keeps what passes through, as people do who look at it later."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.offset = engine.tensor([1.0, 2.0])
        self.hidden = None

    def forward(self, x):
        self.hidden = self.inner(x)
        self.seen = x
        self.offset = self.offset * 0.5
        return self.hidden + self.offset


def test_what_was_computed_is_neither_saved_nor_trained():
    net = Remembers()
    names = sorted(net.state_dict())
    assert names == ["inner.bias", "inner.weight", "offset"]
    x = engine.tensor(np.ones((4, 3), np.float32))
    for _ in range(2):
        net(x).sum().backward()
        assert sorted(net.state_dict()) == names
        assert [name for name, _ in net.named_parameters()] == ["inner.weight", "inner.bias"]
        with engine.no_grad():
            net(x)
        assert sorted(net.state_dict()) == names
    assert net.state_dict()["offset"].tolist() == [1 / 16, 2 / 16]  # it was a buffer, and still is
    net.hidden = engine.tensor([0.0])  # but outside of forward a tensor becomes one
    assert "hidden" in net.state_dict()


def test_a_forgotten_super_call_harms_nothing():
    class Net(nn.Module):
        def __init__(self):
            self.inner = nn.Dropout(0.5)

        def forward(self, x):
            assert self.training
            return self.inner(x)

    x = engine.tensor(np.ones((2, 3), np.float32))
    assert Net()(x).shape == (2, 3)
    np.testing.assert_array_equal(Net().eval().inner(x).numpy(), x.numpy())


def test_frozen_parameters_stay_and_come_back():
    model = _cnn()
    model[:2].freeze()
    assert [name for name, _ in model.named_parameters()] == ["6.weight", "6.bias"]
    assert "0.weight" in model.state_dict()
    optimizer = engine.optim.SGD(0.1, parameters=model.parameters())
    before = model.state_dict()
    x = engine.tensor(np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype(np.float32))
    model(x).sum().backward()
    optimizer.step()
    after = model.state_dict()
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {"6.weight", "6.bias", "1.running_mean", "1.running_var"}
    model.unfreeze()
    assert len(model.parameters()) == 5
    assert not model[1].running_mean.requires_grad


def test_a_hook_sees_and_replaces_results():
    model, seen = _cnn().eval(), []
    x = engine.tensor(np.ones((2, 1, 8, 8), np.float32))
    plain = model(x).numpy()
    remove = model[3].register_forward_hook(lambda m, inputs, y: seen.append((inputs, y.shape)))
    np.testing.assert_array_equal(model(x).numpy(), plain)
    assert [(i[0].shape, shape) for i, shape in seen] == [((2, 4, 8, 8), (2, 4, 4, 4))]
    remove()
    remove = model[6].register_forward_hook(lambda m, inputs, y: y * 2.0)
    np.testing.assert_array_equal(model(x).numpy(), 2 * plain)
    remove()
    np.testing.assert_array_equal(model(x).numpy(), plain)
    assert len(seen) == 1


def test_containers_are_cut_changed_and_named():
    engine.manual_seed(0)
    layers = [nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)]
    model = nn.Sequential(layers)
    x = engine.tensor(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(model[1:](model[:1](x)).numpy(), model(x).numpy())
    assert model[-1] is layers[2]
    model[-1] = nn.Linear(4, 7)
    assert model.append(nn.Tanh())(x).shape == (2, 7)
    assert [name for name, _ in model.named_modules()] == ["", "0", "1", "2", "3"]
    named = nn.Sequential({"in": nn.Linear(3, 4), "out": nn.Linear(4, 2)})
    assert sorted(named.state_dict()) == ["in.bias", "in.weight", "out.bias", "out.weight"]
    heads = nn.ModuleDict({"age": nn.Linear(4, 1), "kind": nn.Linear(4, 3)})
    heads["size"] = nn.Linear(4, 2)
    assert list(heads) == heads.keys() == ["age", "kind", "size"]
    assert heads["kind"](model[0](x)).shape == (2, 3)
    assert "kind" in heads
    assert "colour" not in heads
    assert len(heads) == len(heads.values()) == len(heads.items()) == 3
    assert "size.weight" in heads.state_dict()
    visited = []
    assert heads.apply(lambda m: visited.append(type(m).__name__)) is heads
    assert visited == ["ModuleDict", "Linear", "Linear", "Linear"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2), ops.relu), "found relu .* expected a module"),
        (lambda: nn.Sequential(nn.ReLU), r"found the class ReLU as .*write ReLU\(\.\.\.\)"),
        (lambda: nn.ModuleList([nn.ReLU(), 3]), "found 3 as 1; expected a module"),
        (lambda: nn.ModuleDict({"keys": nn.ReLU()}), "found the name 'keys'"),
        (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), r"found the name 'a\.b'"),
        (lambda: nn.Sequential({"train": nn.ReLU()}), "found the name 'train'"),
        (lambda: nn.ModuleDict({"a": nn.ReLU}), "found the class ReLU as 'a'"),
    ],
)
def test_what_is_no_module_is_not_passed_over(make, words):
    with pytest.raises(EngineError, match=words):
        make()


def test_weights_that_fit_in_part():
    model, head = _cnn(), {"6.weight": np.zeros((10, 64), np.float32)}
    before = model.state_dict()
    names = model.load_state_dict({**head, "7.weight": np.zeros(3)}, strict=False)
    assert names.unknown == ["7.weight"]
    assert names.missing == sorted(before.keys() - head.keys())
    assert not model.state_dict()["6.weight"].any()
    np.testing.assert_array_equal(model.state_dict()["0.weight"], before["0.weight"])
    with pytest.raises(ShapeError, match=r"'6.weight' \(2, 64\); expected \(10, 64\)"):
        model.load_state_dict({"6.weight": np.zeros((2, 64))}, strict=False)
    with pytest.raises(EngineError, match="found a tuple; expected arrays by name"):
        model.load_state_dict((before, {}))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["BatchNorm", "LSTM", "RNN", "GRU", "LSTMCell", "RNNCell"])
def test_what_pytorch_saved_is_taken_as_it_is(kind):
    import torch

    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    if kind == "BatchNorm":
        twin, layer = torch.nn.BatchNorm1d(5), nn.BatchNorm(5)
        twin(torch.from_numpy(x))
    elif kind.endswith("Cell"):
        twin, layer, x = getattr(torch.nn, kind)(3, 4), getattr(nn, kind)(3, 4), x[:, 0]
    else:
        options = {"num_layers": 2, "bidirectional": True}
        twin = getattr(torch.nn, kind)(3, 4, batch_first=True, **options)
        layer = getattr(nn, kind)(3, 4, **options)
    whole, theirs = nn.ModuleList([layer]).eval(), torch.nn.ModuleList([twin]).eval()
    assert whole.load_state_dict(theirs.state_dict()) == ([], [])
    zeros = np.zeros((2, 4), np.float32)
    state = {"RNNCell": zeros, "LSTMCell": (zeros, zeros)}.get(kind)
    lifted = tuple(map(engine.tensor, state)) if kind == "LSTMCell" else engine.tensor(zeros)
    found = layer(engine.tensor(x), *([] if state is None else [lifted]))
    expected = twin(torch.from_numpy(x))
    for _ in range(2):
        found, expected = (v[0] if isinstance(v, tuple) else v for v in (found, expected))
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("size", [6, 7, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 2, 1), (2, 3, 1), (5, 4, 1), (4, 1, 1), (3, 1, 2)]
)
def test_same_padding_with_a_stride_is_that_of_tensorflow(size, kernel, stride, dilation):
    import torch

    engine.manual_seed(0)
    layer = nn.Conv1d(2, 3, kernel, stride, "same", dilation)
    x = np.random.default_rng(1).normal(size=(2, 2, size)).astype(np.float32)
    y = layer(engine.tensor(x)).numpy()
    assert y.shape[2] == -(-size // stride)
    total = max((y.shape[2] - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    padded = np.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2)))
    weight = torch.from_numpy(layer.weight.numpy())
    expected = torch.nn.functional.conv1d(
        torch.from_numpy(padded), weight, None, stride, 0, dilation
    )
    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_a_separable_convolution_is_two() -> None:
    engine.manual_seed(0)
    layer = nn.SeparableConv2d(3, 5, 3, stride=2, padding="same", multiplier=2)
    assert {n: p.shape for n, p in layer.named_parameters()} == {
        "depthwise.weight": (6, 1, 3, 3), "pointwise.weight": (5, 6, 1, 1), "pointwise.bias": (5,),
    }  # fmt: skip
    x = engine.tensor(np.random.default_rng(1).normal(size=(2, 3, 6, 7)).astype(np.float32))
    wide = ops.conv2d(x, layer.depthwise.weight, None, 2, ((0, 1), (1, 1)), groups=3)
    expected = ops.conv2d(wide, layer.pointwise.weight, layer.pointwise.bias)
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), "found padding='full'; expected numbers"),
        (lambda: nn.Upsample(), "found scale_factor=None and size=None; expected one"),
        (lambda: nn.Upsample(2, size=3), "expected one of them"),
        (lambda: nn.InstanceNorm(1e-5), "expected a whole number, or None"),
        (lambda: nn.Crop(2)(engine.zeros(1, 1, 4, 5)), "expected to leave something"),
    ],
)
def test_settings_of_layers_that_cannot_be(make, words):
    with pytest.raises(EngineError, match=words):
        make()
