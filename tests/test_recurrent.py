"""LSTM layers: Keras' numbers on every path, dropout in its place, and padding that is not read."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import with_weights
from zoo.layers import BidirectionalLSTM, LockedDropout, LSTMLayer, WordDropout
from zoo.layers.recurrent import step

LENGTHS = np.array([5, 2])
MASK = np.arange(5) < LENGTHS[:, None]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def to_numpy(x):
    return ops.convert_to_numpy(x)


def run(layer, *inputs, **more):
    """A layer in inference; JAX would otherwise compile each of its operations by itself."""
    if keras.backend.backend() != "jax":
        return layer(*inputs, **more)
    import jax

    return jax.jit(lambda: layer(*inputs, **more))()


@pytest.fixture(scope="module")
def layers():
    """One of ours and Keras' own, with the same weights."""
    layer, peer = LSTMLayer(6), keras.layers.LSTM(6, return_sequences=True, return_state=True)
    layer.build((None, None, 6))
    peer.build((None, None, 6))
    with_weights(layer)
    for ours, theirs in zip(layer.weights, peer.weights, strict=True):
        assert ours.path.split("/")[-1] == theirs.path.split("/")[-1]
        theirs.assign(ours.value)
    return layer, peer


@pytest.mark.parametrize("is_masked", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("starts", ["zeros", "state"])
def test_numbers_are_those_of_keras(layers, starts, is_masked):
    layer, peer = layers
    x, mask = numbers(2, 5, 6), MASK if is_masked else None
    state = (numbers(2, 6, seed=1), numbers(2, 6, seed=2)) if starts == "state" else None
    sequence, (hidden, cell) = run(layer, x, state=state, padding_mask=mask)
    expected = run(peer, x, initial_state=None if state is None else list(state), mask=mask)
    real = MASK if is_masked else np.ones_like(MASK)
    np.testing.assert_allclose(to_numpy(sequence)[real], to_numpy(expected[0])[real], atol=1e-6)
    np.testing.assert_allclose(to_numpy(hidden), to_numpy(expected[1]), atol=1e-6)
    np.testing.assert_allclose(to_numpy(cell), to_numpy(expected[2]), atol=1e-6)


def gradients(layer, loss):
    """Of `loss(layer)` with respect to the layer's weights."""
    variables = layer.trainable_variables
    if keras.backend.backend() == "torch":
        layer.zero_grad()
        loss(layer).backward()
        return [to_numpy(v.value.grad) for v in variables]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(layer)
        return [g.numpy() for g in tape.gradient(value, [v.value for v in variables])]
    import jax

    def stateless(values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss(layer)

    values = [v.value for v in variables]
    return [np.asarray(g) for g in jax.jit(jax.grad(stateless))(values)]


def test_gradients_are_those_of_keras_and_flow_from_every_output_to_every_input(layers):
    x, weight = ops.convert_to_tensor(numbers(2, 5, 6)), numbers(2, 5, 6, seed=3) * MASK[..., None]
    weight = ops.convert_to_tensor(weight)

    def loss(layer):
        """Through the layer twice, so that its input and its first state have gradients too."""
        mask = {"mask" if layer is layers[1] else "padding_mask": MASK}
        state = {"initial_state" if layer is layers[1] else "state": None}
        lower, *below = keras.tree.flatten(layer(x, **mask))
        state = dict.fromkeys(state, below)
        upper, hidden, cell = keras.tree.flatten(layer(lower, **mask, **state))
        return ops.sum(upper * weight) + ops.sum(hidden) * 0.3 + ops.sum(ops.square(cell))

    for ours, theirs in zip(*(gradients(layer, loss) for layer in layers), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_fast_path_equals_steps_and_reading_in_pieces(layers):
    layer, _ = layers
    x = numbers(2, 9, 6)
    whole, last = run(layer, x)
    state, pieces = None, []
    for piece in (x[:, :1], x[:, 1:5], x[:, 5:6], x[:, 6:]):
        sequence, state = run(layer, piece, state=state)
        pieces.append(to_numpy(sequence))
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), to_numpy(whole), atol=1e-6)
    np.testing.assert_allclose(to_numpy(state[1]), to_numpy(last[1]), atol=1e-6)
    by_hand = layer.make_state(2)
    for t in range(9):
        projected = ops.matmul(x[:, t], layer.kernel) + layer.bias
        by_hand = step(projected, by_hand, ops.convert_to_tensor(layer.recurrent_kernel))
    np.testing.assert_allclose(to_numpy(by_hand[0]), to_numpy(last[0]), atol=1e-6)


def test_padding_changes_nothing_whatever_stands_in_it(layers):
    layer, _ = layers
    x, junk = numbers(2, 5, 6), numbers(2, 5, 6)
    junk[~MASK] = 1e3
    state = numbers(2, 6, seed=1), numbers(2, 6, seed=2)
    _, found = run(layer, junk, state=state, padding_mask=MASK)
    for row, length in enumerate(LENGTHS):
        alone = tuple(part[row : row + 1] for part in state)
        _, expected = run(layer, x[row : row + 1, :length], state=alone)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(to_numpy(ours)[row], to_numpy(theirs)[0], atol=1e-6)


def test_a_row_without_tokens_keeps_its_state(layers):
    layer, _ = layers
    state = numbers(2, 6, seed=1), numbers(2, 6, seed=2)
    _, found = run(layer, numbers(2, 5, 6), state=state, padding_mask=np.zeros((2, 5), bool))
    for ours, before in zip(found, state, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), before)


def test_both_directions_equal_one_layer_each_and_ignore_padding():
    layer = BidirectionalLSTM(4)
    x = numbers(2, 5, 5)
    layer.build(x.shape)
    with_weights(layer)
    found = to_numpy(run(layer, np.where(MASK[..., None], x, 1e3), padding_mask=MASK))
    for row, length in enumerate(LENGTHS):
        alone = x[row : row + 1, :length]
        forward, _ = run(layer.forward_lstm, alone)
        backward, _ = run(layer.backward_lstm, alone[:, ::-1].copy())
        expected = np.concatenate([to_numpy(forward), to_numpy(backward)[:, ::-1]], axis=-1)
        np.testing.assert_allclose(found[row, :length], expected[0], atol=1e-6)


def test_weight_dropout_drops_recurrent_weights_in_training_alone():
    layer = LSTMLayer(40, weight_dropout=0.5, recurrent_initializer="ones")
    layer.build((None, None, 3))
    layer.kernel.assign(ops.zeros(layer.kernel.shape))
    x, ones = np.zeros((2, 1, 3), "float32"), np.ones((2, 40), "float32")
    layer.recurrent_kernel.assign(ops.full(layer.recurrent_kernel.shape, 0.01))

    def gates(training):
        """What the output gates have added up: 40 weights of 0.01 times their masks."""
        _, (hidden, cell) = layer(x, state=(ones, 9 * ones), training=training)
        ratio = to_numpy(hidden).astype("float64") / np.tanh(to_numpy(cell))
        return np.log(ratio / (1 - ratio))

    np.testing.assert_allclose(gates(False), 0.4, rtol=1e-3)
    kept = gates(True) / 0.02
    np.testing.assert_allclose(kept, kept.round(), atol=0.05)  # whole weights, doubled
    assert kept.std() > 1
    assert kept.mean() == pytest.approx(20, abs=2)
    np.testing.assert_array_equal(kept[0], kept[1])  # one mask for a batch
    assert not np.array_equal(gates(True), gates(True))


def test_weight_dropout_is_the_same_at_all_positions():
    layer = LSTMLayer(8, weight_dropout=0.5, seed=3)
    x = np.repeat(numbers(1, 1, 5), 40, axis=1)
    layer.build(x.shape)
    sequence = to_numpy(layer(x, training=True)[0])[0]
    # With fixed weights the state settles; with new ones at each position it would go on jumping.
    np.testing.assert_allclose(sequence[-1], sequence[-2], atol=1e-3)


def test_locked_dropout_drops_a_row_s_features_at_all_positions():
    layer = LockedDropout(0.5, seed=1)
    x = np.ones((4, 9, 30), "float32")
    dropped = to_numpy(layer(x, training=True))
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    assert not np.array_equal(dropped[0], dropped[1])
    np.testing.assert_array_equal(to_numpy(layer(x)), x)


def test_word_dropout_drops_words_wherever_they_stand():
    layer = WordDropout(0.5, vocab_size=50, seed=1)
    ids = np.random.default_rng(0).integers(0, 50, (4, 30)).astype("int32")
    x = np.ones((4, 30, 3), "float32")
    dropped = to_numpy(layer(x, token_ids=ids, training=True))
    kept = {}
    for word, value in zip(ids.ravel(), dropped.reshape(-1, 3), strict=True):
        assert set(value) <= {0.0, 2.0}
        assert kept.setdefault(word, tuple(value)) == tuple(value)
    assert {value[0] for value in kept.values()} == {0.0, 2.0}
    np.testing.assert_array_equal(to_numpy(layer(x, token_ids=ids)), x)


def test_half_precision_is_near_single(layers):
    exact, layer = layers[0], LSTMLayer(6, dtype="mixed_float16")
    x = numbers(2, 5, 6)
    layer.build(x.shape)
    with_weights(layer)
    sequence, (hidden, _) = run(layer, x, padding_mask=MASK)
    expected, (expected_hidden, _) = run(exact, x, padding_mask=MASK)
    assert keras.backend.standardize_dtype(sequence.dtype) == layer.compute_dtype
    sequence, hidden = (to_numpy(ops.cast(one, "float32")) for one in (sequence, hidden))
    np.testing.assert_allclose(sequence[MASK], to_numpy(expected)[MASK], atol=0.03)
    np.testing.assert_allclose(hidden, to_numpy(expected_hidden), atol=0.03)


def test_the_forget_gate_starts_open():
    layer = LSTMLayer(3)
    layer.build((None, None, 2))
    assert to_numpy(layer.bias.value).tolist() == [0] * 3 + [1] * 3 + [0] * 6


def test_layers_come_back_from_their_config():
    for layer in (LSTMLayer(6, 0.2), BidirectionalLSTM(6, 0.2), WordDropout(0.1, 50)):
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config
