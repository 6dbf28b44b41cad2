"""Cached decoding in a TensorFlow graph: what `zoo.generation` does, with no Python in between."""

import tensorflow as tf

from zoo.generation import Sampler, choose_tokens
from zoo.generation.decoder import read_prompts
from zoo.generation.noise import GOLDEN_RATIO, MULTIPLIERS

GREEDY = Sampler(temperature=0.0).kind
TOP_P = Sampler(top_p=1.0).kind


def generate_tokens(backbone, prompts, end_id, max_new_tokens, temperature, top_p, seed):
    """Continue prompts until each has met `end_id` or there are `max_new_tokens` new tokens.

    All prompts are aligned on the left and each row has a position of its own, as in
    `zoo.generation.Decoder`.

    Args:
        backbone: a backbone with `make_cache`, `call_with_cache` and `logits`.
        prompts: ragged int32 `(batch, None)`, no row empty.
        end_id, max_new_tokens, temperature, top_p, seed: those of `write_tokens`.

    Returns:
        What `write_tokens` returns.
    """
    token_ids = prompts.to_tensor()
    batch_size, prompt_length = tf.unstack(tf.shape(token_ids))
    lengths = tf.cast(prompts.row_lengths(), "int32")

    def read(token, cache, step):
        hidden, cache = backbone.call_with_cache(token[:, None], cache, lengths + step - 1)
        return backbone.logits(hidden)[:, 0], cache

    cache = backbone.make_cache(batch_size, prompt_length + max_new_tokens)
    hidden, cache = read_prompts(backbone, token_ids, lengths, cache)
    logits = backbone.logits(tf.gather(hidden, lengths - 1, batch_dims=1))
    return write_tokens(read, logits, cache, end_id, max_new_tokens, temperature, top_p, seed)


def write_tokens(read, logits, cache, end_id, max_new_tokens, temperature, top_p, seed):
    """Choose a token for each row and read it, until all have met `end_id` or have enough.

    The draws are those of `zoo.generation.noise`.

    Args:
        read: `(token, cache, step) -> (logits, cache)`: the tokens `(batch,)` before those of
            this step to the logits `(batch, vocab_size)` of these.
        logits: of the first tokens.
        cache: nested tensors, for `read`.
        end_id: int, the id that ends a row.
        max_new_tokens: int32 scalar, at least 1.
        temperature: float32 scalar; 0 is greedy.
        top_p: float32 scalar.
        seed: int32 scalar; row i draws with `seed + i`.

    Returns:
        int32 `(batch, max_new_tokens)`, filled with `end_id` behind each row's end.
    """
    batch_size = tf.shape(logits)[0]
    keys = noise_keys(seed, batch_size)

    def choose(logits, step):
        numbers = [temperature, float("inf"), top_p, 0.0, 1.0]
        logits = tf.cast(logits, "float32")
        return tf.cond(
            temperature == 0,
            lambda: choose_tokens(logits, None, None, numbers, GREEDY),
            lambda: choose_tokens(logits, None, noise_at(keys, step), numbers, TOP_P),
        )

    def note(tokens, step, token, finished):
        """Write a step's tokens; a finished row keeps the `end_id` that is there."""
        rows = tf.range(batch_size)
        places = tf.stack([rows, tf.fill([batch_size], step)], axis=1)
        token = tf.where(finished, end_id, token)
        return tf.tensor_scatter_nd_update(tokens, places, token), finished | (token == end_id)

    def unfinished(step, token, cache, tokens, finished):
        return (step < max_new_tokens) & ~tf.reduce_all(finished)

    def advance(step, token, cache, tokens, finished):
        logits, cache = read(token, cache, step)
        token = choose(logits, step)
        tokens, finished = note(tokens, step, token, finished)
        return step + 1, token, cache, tokens, finished

    shapes = tf.nest.map_structure(lambda x: x.shape, cache)
    token = choose(logits, 0)
    tokens = tf.fill([batch_size, max_new_tokens], end_id)
    tokens, finished = note(tokens, 0, token, tf.zeros([batch_size], "bool"))
    row, table = tf.TensorShape([None]), tf.TensorShape([None, None])
    state = tf.while_loop(
        unfinished,
        advance,
        (1, token, cache, tokens, finished),
        shape_invariants=(tf.TensorShape([]), row, shapes, table, row),
    )
    return state[3]


def noise_keys(seed, batch_size):
    """What the draws of each row are hashed from, uint32 `(batch,)`."""
    seeds = tf.cast(seed, "int64") + tf.range(tf.cast(batch_size, "int64"))
    return _hash(_hash(tf.cast(tf.bitwise.bitwise_and(seeds, 2**32 - 1), "uint32")))


def noise_at(keys, step):
    """The numbers in [0, 1) of all rows at one step: a column of `noise.uniform_noise`.

    Args:
        keys: from `noise_keys`.
        step: int32 scalar.

    Returns:
        float32 `(batch,)`.
    """
    counter = tf.cast(step + 1, "uint32") * tf.constant(GOLDEN_RATIO, "uint32")
    bits = _shift_right(_hash(_hash(keys + counter)), 8)
    return tf.cast(bits, "float32") * 2.0**-24


def _hash(x):
    x = tf.bitwise.bitwise_xor(x, _shift_right(x, 16)) * tf.constant(MULTIPLIERS[0], "uint32")
    x = tf.bitwise.bitwise_xor(x, _shift_right(x, 15)) * tf.constant(MULTIPLIERS[1], "uint32")
    return tf.bitwise.bitwise_xor(x, _shift_right(x, 16))


def _shift_right(x, bits):
    return tf.bitwise.right_shift(x, tf.constant(bits, "uint32"))
