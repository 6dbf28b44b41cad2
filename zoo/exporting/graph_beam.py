"""Beam search in a TensorFlow graph: what `zoo.generation.beam` does, for any number of texts."""

import tensorflow as tf

from zoo.generation.beam import KEPT, NEVER


def search_tokens(read, token, cache, end_id, max_new_tokens, width, length_penalty):
    """The best hypothesis of each text; see `zoo.generation.Beam` for what best is.

    Args:
        read: `(token, cache, step) -> (logits, cache)`: the tokens `(batch * width,)` before those
            of this step to the logits `(batch * width, vocab_size)` of these. Row
            `i * width + j` is hypothesis j of text i.
        token: int32 `(batch * width,)`, which hypotheses start from.
        cache: nested tensors, for `read`; hypotheses are their first axis.
        end_id: int, the id that ends a hypothesis.
        max_new_tokens: int32 scalar, at least 1.
        width: int32 scalar, from 1 to the size of the vocabulary.
        length_penalty: float32 scalar, at least 0.

    Returns:
        int32 `(batch, max_new_tokens)`, filled with `end_id` behind each row's end.
    """
    batch_size = tf.size(token) // width

    def per_hypothesis(value):
        return tf.fill([batch_size, width], value)

    def unfinished(state):
        return (state["step"] < max_new_tokens) & ~tf.reduce_all(state["settled"])

    def advance(state):
        logits, cache = read(state["token"], state["cache"], state["step"])
        state = extend({**state, "cache": cache}, logits, end_id)
        return (settle(state, length_penalty, max_new_tokens),)

    is_first = tf.range(width) == 0  # all are the same yet: one stands for them
    state = {
        "step": tf.constant(0),
        "token": token,
        "cache": cache,
        "tokens": tf.fill([batch_size, width, max_new_tokens], end_id),
        "length": per_hypothesis(0),
        "log_p": tf.where(is_first, per_hypothesis(0.0), NEVER),
        "finished": per_hypothesis(False),
        "settled": tf.zeros([batch_size], "bool"),
    }
    shapes = tf.nest.map_structure(lambda x: tf.TensorShape([None] * x.shape.rank), state)
    shapes["cache"] = tf.nest.map_structure(lambda x: x.shape, cache)
    (state,) = tf.while_loop(unfinished, advance, (state,), shape_invariants=(shapes,))
    return best(state, length_penalty, max_new_tokens)


def extend(state, logits, end_id):
    """Let each text keep the likeliest hypotheses that are a token longer."""
    batch_size, width, length = tf.unstack(tf.shape(state["tokens"]))
    vocab_size = logits.shape[-1]
    logits = tf.reshape(tf.cast(logits, "float32"), [batch_size, width, vocab_size])
    log_p = logits - tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
    log_p += state["log_p"][:, :, None]
    # What is finished goes on as one candidate that none can displace.
    stays = tf.where(tf.range(vocab_size) == 0, KEPT, NEVER)
    log_p = tf.where(state["finished"][:, :, None], stays, log_p)
    log_p, index = tf.math.top_k(tf.reshape(log_p, [batch_size, width * vocab_size]), width)
    parent, token = index // vocab_size, index % vocab_size

    def of_parent(name):
        return tf.gather(state[name], parent, batch_dims=1)

    finished = of_parent("finished")
    token = tf.where(finished, end_id, token)
    is_next = tf.range(length) == state["step"]
    rows = tf.reshape(parent + width * tf.range(batch_size)[:, None], [-1])
    return {
        **state,
        "step": state["step"] + 1,
        "token": tf.reshape(token, [-1]),
        "cache": tf.nest.map_structure(lambda x: tf.gather(x, rows), state["cache"]),
        "tokens": tf.where(is_next, token[:, :, None], of_parent("tokens")),
        "length": of_parent("length") + tf.cast(~finished, "int32"),
        "log_p": tf.where(finished, of_parent("log_p"), log_p),
        "finished": finished | (token == end_id),
    }


def settle(state, length_penalty, max_new_tokens):
    """Note which texts have a finished hypothesis that none that goes on can overtake.

    Log-probabilities only fall and the divisor only grows, so none gets beyond its present one
    over the largest divisor.
    """
    finished, log_p = state["finished"], state["log_p"]
    scores = log_p / divisor(tf.cast(state["length"], "float32"), length_penalty)
    limit = divisor(tf.cast(max_new_tokens, "float32"), length_penalty)
    found = tf.reduce_max(tf.where(finished, scores, NEVER), axis=1)
    hope = tf.reduce_max(tf.where(finished, NEVER, log_p / limit), axis=1)
    return {**state, "settled": tf.reduce_any(finished, axis=1) & (found >= hope)}


def best(state, length_penalty, max_new_tokens):
    """The tokens of each text's hypothesis of the best score, the first of equal ones."""
    length, log_p, penalty = (
        tf.cast(x, "float64") for x in (state["length"], state["log_p"], length_penalty)
    )
    # Before the last step, those that go on were given up.
    counts = state["finished"] | (state["step"] == max_new_tokens)
    scores = tf.where(counts, log_p / divisor(length, penalty), -float("inf"))
    _, first = tf.math.top_k(scores, 1)
    return tf.gather(state["tokens"], first[:, 0], batch_dims=1)


def divisor(length, length_penalty):
    return ((5 + length) / 6) ** length_penalty
