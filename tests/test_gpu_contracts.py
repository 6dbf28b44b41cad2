"""What a GPU asks of the code, held without one.

JAX lowers each family for CUDA. On PyTorch, what would stop the GPU is counted: a number that is
read back, and an array or a number that is made here and sent there. Models of more layers may not
have more of it.
"""

import collections
import importlib
import warnings

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import with_weights
from zoo.layers.initializers import weights_follow

SMALL = {"vocab_size": 20, "hidden_dim": 16, "max_length": 32, "dropout": 0.0}
FAMILIES = {
    "gpt": lambda **own: zoo.models.GPT(**SMALL, num_heads=2, **own),
    "gpt_neox": lambda **own: zoo.models.GPTNeoX(
        **SMALL,
        num_heads=2,
        rotary_dim=4,
        rotary_scaling={"kind": "dynamic", "factor": 2.0, "original_length": 2},
        **own,
    ),
    "llama": lambda **own: zoo.models.Llama(
        **SMALL,
        num_heads=4,
        num_kv_heads=2,
        qk_norm=True,
        sliding_window=3,
        rotary_scaling={"kind": "yarn", "factor": 2.0, "original_length": 8},
        **own,
    ),
    "bert": lambda **own: zoo.models.BERT(**SMALL, num_heads=2, **own),
    "transformer": lambda **own: zoo.models.Transformer(**SMALL, num_heads=2, **own),
    "relative": lambda **own: zoo.models.Transformer(
        **SMALL, num_heads=2, position="relative", pre_norm=True, tied=False, **own
    ),
    "t5": lambda **own: zoo.models.T5(**SMALL, num_heads=2, activation="gated_gelu_tanh", **own),
    "bart": lambda **own: zoo.models.BART(**SMALL, num_heads=2, **own),
    "marian": lambda **own: zoo.models.Marian(**SMALL, num_heads=2, **own),
    "lstm": lambda **own: zoo.models.LSTM(**SMALL, **own),
    "bilstm": lambda **own: zoo.models.LSTM(**SMALL, bidirectional=True, **own),
    "lstm_seq2seq": lambda **own: zoo.models.LSTMSeq2Seq(**SMALL, **own),
}
DECODERS = [name for name in FAMILIES if name not in ("bert", "bilstm")]
IDS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], "int32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX only")
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch only")


def inputs_of(model):
    tensors = {name: MASK if "mask" in name else IDS % 2 for name in model.input}
    return {name: ops.convert_to_tensor(x) for name, x in tensors.items()}


def loss_of(model):
    """The mean loss of labels through the head, as tasks have it."""
    inputs = inputs_of(model)

    def loss():
        hidden = model(inputs, training=True)
        rows = ops.reshape(hidden, (-1, hidden.shape[-1]))
        labels = ops.reshape(inputs["token_ids"], (-1,))
        if not model.has_plain_head:
            return ops.mean(zoo.layers.token_nats(labels, model.logits(rows)))
        weight = ops.ones(ops.shape(labels), "float32")
        return zoo.layers.head_cross_entropy(rows, model.head_table(), labels, weight)[0]

    return loss


def step_of(model):
    """One token for each row, from a cache in which the rows stand at different places."""
    token, start = ops.convert_to_tensor(IDS[:, :1]), ops.convert_to_tensor([3, 2], dtype="int32")
    mask = ops.convert_to_tensor(MASK)
    if hasattr(model, "call_with_cache"):
        cache = model.make_cache(2, 16)
        return lambda: model.logits(model.call_with_cache(token, cache, start)[0])
    context = model.project_context(model.encode(inputs_of(model)["token_ids"], mask))
    cache = model.make_cache(context, 16)
    return lambda: model.logits(model.decode(token, cache, start, context, mask)[0])


@on_jax
@pytest.mark.parametrize(
    "dtype",
    ["float32", pytest.param("bfloat16", marks=pytest.mark.slow_to_compile), "float16"],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_lowers_for_cuda(name, dtype, monkeypatch):
    """Forward, decoding step and gradient, with the attention kernel that a GPU gets."""
    import jax

    from zoo.backends.compiled import with_weights as with_values

    monkeypatch.setattr("zoo.layers.attention.backend.writes_attention_out", lambda *_: False)
    with weights_follow():
        model = FAMILIES[name](num_layers=1, dtype=dtype)
    values = [variable.value for variable in model.variables]
    functions = [lambda: model(inputs_of(model)), loss_of(model)]
    if name in DECODERS:
        functions.append(step_of(model))
    forward, loss, *steps = (with_values(model.variables, f) for f in functions)
    gradient = jax.grad(loss, allow_int=True)
    for function in (forward, gradient, *steps):
        exported = jax.export.export(jax.jit(function), platforms=["cuda"])(values)
        assert exported.platforms == ("cuda",)
        assert "f64" not in exported.mlir_module()


@on_jax
def test_products_are_of_whole_float32_where_equality_is_claimed():
    import jax

    x = ops.ones((4, 4))
    module = jax.export.export(jax.jit(ops.matmul), platforms=["cuda"])(x, x).mlir_module()
    assert "precision = [HIGHEST, HIGHEST]" in module


@on_jax
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_asks_cudnn_for_no_lstm(dtype, monkeypatch):
    """Which JAX says no to only when the call is lowered, too late to go another way."""
    room = importlib.import_module("zoo.backends.jax.lstm")
    asked = []

    def cudnn(*args, **kwargs):
        asked.append(args[0].dtype)
        raise NotImplementedError

    monkeypatch.setattr(room.backend, "lstm", cudnn)
    for policy in (dtype, "float32"):
        layer = zoo.layers.LSTMLayer(4, dtype=policy)
        sequence, _ = layer(np.ones((2, 3, 4), "float32"))
        assert keras.backend.standardize_dtype(sequence.dtype) == policy
    assert asked == ["float32"]


@pytest.fixture
def stops(monkeypatch):
    """`count(function)`: how often it would stop the GPU, by what."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = collections.Counter()

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            if operation.name() in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal"):
                seen[operation.name()] += 1
            indices = args[1] if operation.name().startswith("aten::index") else ()
            if any(x is not None and x.dtype == torch.bool for x in indices or () if x is not None):
                seen["boolean index"] += 1
            return operation(*args, **(kwargs or {}))

    def watch(name):
        make = getattr(torch, name)

        def made(data, *args, **kwargs):
            if not isinstance(data, torch.Tensor):
                seen[name] += 1
            return make(data, *args, **kwargs)

        monkeypatch.setattr(torch, name, made)

    for name in ("as_tensor", "tensor", "from_numpy"):
        watch(name)
    # Not what a CPU has of its own.
    monkeypatch.setattr("zoo.backends.torch.products.has_fast_products", lambda *_: False)

    def count(function):
        seen.clear()
        with Counter():
            function()
        return dict(seen)

    return count


@on_torch
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_no_layer_stops_the_gpu(name, dtype, stops):
    counts = []
    for num_layers in (1, 3):
        model = FAMILIES[name](num_layers=num_layers, dtype=dtype)
        inputs, loss = inputs_of(model), loss_of(model)
        functions = [lambda model=model, inputs=inputs: model(inputs)]
        functions.append(lambda loss=loss: loss().backward())
        if name in DECODERS:
            functions.append(step_of(model))
        for function in functions:
            function()
        counts.append([stops(function) for function in functions])
    assert counts[0] == counts[1]


@on_torch
def test_what_would_stop_a_gpu_is_seen(stops):
    """The counter of the test above counts."""
    import torch

    x = torch.ones(4)
    assert stops(lambda: x.sum().item()) == {"aten::_local_scalar_dense": 1}
    assert stops(lambda: ops.split(x, [1, 3])) != {}
    assert stops(lambda: ops.where(x > 0, x, 0.0)) == {"as_tensor": 1}
    assert stops(lambda: x[x > 0]) == {"boolean index": 1}
    assert stops(lambda: x * 2 + torch.arange(4)) == {}


@on_torch
def test_memory_is_asked_for_where_keras_puts_tensors():
    import torch

    with keras.device("meta"):
        tensor = zoo.backends.backend.empty((2, 3), "bfloat16")
    assert tensor.device.type == "meta"
    assert tensor.dtype == torch.bfloat16


@on_torch
def test_constants_of_two_devices_stay_two(monkeypatch):
    import torch

    from zoo.backends.torch.graph import merge_repeated

    def root(devices):
        module, graph = torch.nn.Module(), torch.fx.Graph()
        for i, device in enumerate(devices):
            module.register_buffer(f"constant_{i}", torch.zeros(2, device=device))
        nodes = [graph.get_attr(f"constant_{i}") for i in range(len(devices))]
        graph.output(tuple(nodes))
        return torch.fx.GraphModule(module, graph)

    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: [0.0] * len(tensor))  # meta has none
    for devices, expected in ((["cpu", "cpu"], 1), (["cpu", "meta"], 2)):
        traced = root(devices)
        merge_repeated(traced, set())
        assert sum(node.op == "get_attr" for node in traced.graph.nodes) == expected


@on_torch
@pytest.mark.parametrize("name", ["gpt", "bert", "transformer"])
def test_tracers_and_exporters_get_the_plain_product(name):
    import torch

    model = with_weights(FAMILIES[name](num_layers=1), 0.3)
    names = [name for name in inputs_of(model) if "mask" not in name]
    given = tuple(inputs_of(model)[name] for name in names)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *tensors):
            return self.model(dict(zip(names, tensors, strict=True)))

    module = Module()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.trace is deprecated, and warns of sizes
        expected = module(*given)
        traced = torch.jit.trace(module, given, check_trace=False)
        torch.testing.assert_close(traced(*given), expected, rtol=1e-5, atol=1e-5)
        assert "mkldnn" not in str(traced.inlined_graph)
        exported = torch.export.export(module, given)
        assert "mkldnn" not in str(exported.graph)
        torch.testing.assert_close(exported.module()(*given), expected, rtol=1e-5, atol=1e-5)
