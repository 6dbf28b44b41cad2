"""What is computed again for the backward pass is what would have been kept."""

import functools

import keras
import numpy as np
import pytest

import zoo
from tests.families import ROWS, reads_pairs, tiny
from tests.models import random_ids, tiny_gpt, tiny_lstm
from zoo.backends import backend
from zoo.backends.recomputing import is_recomputable, recomputing

IDS = random_ids(12, 9)
FAST = (
    "gpt",
    "transformer: relative",
)  # causal; with cross-attention and a layer that blocks share
MODELS = [row for row in ROWS if not row.startswith("lstm")]
PARAMETERS = [
    row if row in FAST else pytest.param(row, marks=pytest.mark.slow_to_compile) for row in MODELS
]


def trained(make, inputs, labels, recompute):
    """Losses of three steps and the weights behind them."""
    keras.utils.set_random_seed(3)
    task = make()
    task.compile(optimizer=keras.optimizers.SGD(0.1), recompute=recompute)
    losses = []
    log = keras.callbacks.LambdaCallback(on_batch_end=lambda _, logs: losses.append(logs["loss"]))
    task.fit(inputs, labels, batch_size=4, shuffle=False, verbose=0, callbacks=[log])
    return losses, {w.path: keras.ops.convert_to_numpy(w) for w in task.weights}


def assert_same(make, inputs, labels, tolerance=1e-5):
    losses, weights = trained(make, inputs, labels, None)
    again, recomputed = trained(make, inputs, labels, "blocks")
    np.testing.assert_allclose(again, losses, rtol=tolerance)
    for name, value in weights.items():
        np.testing.assert_allclose(recomputed[name], value, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("row", PARAMETERS)
def test_losses_and_weights_are_those_of_a_run_that_keeps_all(row):
    """With dropout: the same is dropped when it is computed again."""
    inputs, labels = {"token_ids": IDS[:, :-1]}, IDS[:, 1:]

    def make():
        backbone = tiny(row, dropout=0.2)
        if reads_pairs(row):
            return zoo.Seq2SeqLM(backbone)
        if "causal_lm" in type(backbone).tasks:
            return zoo.CausalLM(backbone)
        return zoo.TextClassifier(backbone, labels=["a", "b", "c"])

    if reads_pairs(row):
        inputs["decoder_token_ids"] = IDS[:, :-1]
    elif "causal_lm" not in zoo.models.FAMILIES[row.split(":")[0]].tasks:
        labels = labels[:, 0] % 3
    assert_same(make, inputs, labels)


@pytest.mark.slow_to_compile
def test_in_half_precision():
    make = functools.partial(tiny_gpt, max_length=16, dropout=0.2, dtype="mixed_bfloat16")
    assert_same(make, IDS[:, :-1], IDS[:, 1:], tolerance=2e-2)


def test_less_is_kept_for_the_backward_pass():
    """Of a block its input and its weights alone."""
    block = tiny_gpt(max_length=64).backbone.stack[0]
    assert is_recomputable(block)
    x = np.random.default_rng(0).normal(size=(8, 64, 16)).astype("float32")
    count = {"torch": kept_on_torch, "jax": kept_on_jax}.get(backend.__name__.rpartition(".")[2])
    if count is None:
        pytest.skip("TensorFlow does not tell what its tape keeps")
    everything = count(block, x)
    with recomputing():
        little = count(block, x)
    of_weights = sum(4 * int(np.prod(w.shape)) for w in block.weights)
    assert little <= of_weights + 2 * x.nbytes
    assert everything > of_weights + 10 * x.nbytes


def kept_on_torch(block, x):
    import torch

    found = {}

    def keep(tensor):
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        block(torch.tensor(x, requires_grad=True), training=True)
    return sum(found.values())


def kept_on_jax(block, x):
    import jax

    values = [v.value for v in block.trainable_variables]

    def call(values, x):
        others = [v.value for v in block.non_trainable_variables]
        return block.stateless_call(values, others, x, training=True)[0]

    _, pull = jax.vjp(call, values, x)
    return sum({id(a): a.nbytes for a in jax.tree.leaves(pull)}.values())


def test_it_belongs_to_how_a_model_is_compiled():
    task = tiny_gpt(max_length=16)
    task.compile(recompute="blocks")
    assert task.clone().recompute == "blocks"
    task.compile()
    assert task.recompute is None
    with pytest.raises(ValueError, match="recompute must be 'blocks' or None; got 'layers'"):
        task.compile(recompute="layers")
    with pytest.raises(ValueError, match="for models of Transformer blocks; a LSTM has none"):
        tiny_lstm(max_length=16).compile(recompute="blocks")
