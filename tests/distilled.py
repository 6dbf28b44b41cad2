"""Tiny teachers and students, and the losses of a distillation written out in NumPy."""

import keras
import numpy as np
from zoo.training.distillation import (
    AttentionScores,
    FirstStates,
    HiddenCosine,
    HiddenStates,
    OwnLoss,
    SentenceVectors,
    SoftTargets,
)

import zoo
from tests.models import tiny_backbone, with_weights, word_pieces

LABELS = ("a", "b")
PARTS = ["the sea was calm", "it was late", "captain", "the sky was grey and nobody spoke"]
Y = ["a", "b", "b", "a"]


def classifier(num_layers, width=16, scale=0.3, cls=zoo.models.BERT, **overrides):
    backbone = tiny_backbone(cls, num_layers=num_layers, hidden_dim=width, **overrides)
    task = zoo.TextClassifier(backbone, word_pieces(), LABELS, pooling="mean", head_dropout=0.0)
    return with_weights(task, scale)


def equal_twin(make):
    """Two tasks with the same weights."""
    return with_weights(make()), with_weights(make())


def losses_of(distiller, *data):
    return distiller.evaluate(*data, verbose=0, return_dict=True)


def numpy_losses(distiller, student, teacher, texts, y):
    """`{name: loss}` of texts in one batch."""
    ours, theirs = Looked(student, texts), Looked(teacher, texts)
    formulas = {
        OwnLoss: own_loss,
        SoftTargets: soft_targets,
        FirstStates: first_states,
        HiddenStates: hidden_states,
        HiddenCosine: hidden_cosine,
        SentenceVectors: sentence_vectors,
        AttentionScores: attention_scores,
    }
    found = {}
    for one in distiller.distillation_losses:
        formula = formulas.get(type(one), relations)
        found[one.name] = formula(one, ours, theirs, y)
    return found


class Looked:
    """Logits, states and heads of a task, by Keras' own means and NumPy."""

    def __init__(self, task, texts):
        self.task = task
        if isinstance(task, zoo.CausalLM):
            (batch,) = task.batches(texts, 8, 0, is_fixed=True)
            self.inputs = {"token_ids": batch[0]}
            self.mask = np.asarray(batch[2] if len(batch) > 2 else np.ones(batch[0].shape))
        else:
            rows = task.rows(texts)
            self.inputs = rows.batch(np.arange(len(rows)), int(rows.lengths.max()))[0]
            self.mask = self.inputs["padding_mask"].astype("float64")
        blocks = task.backbone.blocks
        tensors = [blocks[0].input, *(block.output for block in blocks)]
        tensors[0] = tensors[0][0] if isinstance(tensors[0], (list, tuple)) else tensors[0]
        watched = keras.Model(task.backbone.input, tensors)
        inputs = {name: self.inputs.get(name) for name in task.backbone.input}
        self.states = [keras.ops.convert_to_numpy(x).astype("float64") for x in watched(inputs)]
        self.logits = keras.ops.convert_to_numpy(task(self.inputs)).astype("float64")

    def heads(self, layer):
        """Queries, keys and values `(batch, heads, length, head_dim)` of a block, from 1 on."""
        block = self.task.backbone.blocks[layer - 1]
        attention = block.attention
        x = self.states[layer - 1]
        if block.pre_norm:
            x = keras.ops.convert_to_numpy(block.attention_norm(x.astype("float32")))
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in attention.qkv.weights)
        rows = np.split(x @ kernel + bias, 3, axis=-1)
        shape = (*x.shape[:2], attention.num_heads, -1)
        query, key, value = (row.reshape(shape).transpose(0, 2, 1, 3) for row in rows)
        return {"query": query, "key": key, "value": value}


def own_loss(one, ours, theirs, y):
    labels = np.array([LABELS.index(label) for label in y])
    return -np.mean(log_softmax(ours.logits)[np.arange(len(labels)), labels])


def soft_targets(one, ours, theirs, y):
    log_q, log_p = (log_softmax(x.logits / one.temperature) for x in (ours, theirs))
    return one.temperature**2 * np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=-1))


def first_states(one, ours, theirs, y):
    total = 0.0
    for layer, taught in one.layers:
        difference = unit(wide(one, ours.states[layer])) - unit(theirs.states[taught])
        total += np.mean(np.sum(difference[:, 0] ** 2, axis=-1))
    return total


def hidden_states(one, ours, theirs, y):
    total = 0.0
    for layer, taught in one.layers:
        squares = (wide(one, ours.states[layer]) - theirs.states[taught]) ** 2
        total += np.average(squares.mean(axis=-1), weights=ours.mask)
    return total


def hidden_cosine(one, ours, theirs, y):
    ((layer, taught),) = one.layers
    cosine = np.sum(unit(wide(one, ours.states[layer])) * unit(theirs.states[taught]), axis=-1)
    return np.average(1 - cosine, weights=ours.mask)


def sentence_vectors(one, ours, theirs, y):
    means = [
        np.stack([s[m > 0].mean(axis=0) for s, m in zip(x.states[-1], x.mask, strict=True)])
        for x in (ours, theirs)
    ]
    apart = 1 - np.sum(unit(wide(one, means[0])) * unit(means[1]), axis=-1)
    tables = [unit(mean) @ unit(mean).T for mean in means]
    return apart.mean() + np.mean((tables[0] - tables[1]) ** 2)


def attention_scores(one, ours, theirs, y):
    total = 0.0
    for layer, taught in one.layers:
        pair = []
        for x, number in ((ours, layer), (theirs, taught)):
            heads = x.heads(number)
            products = heads["query"] @ heads["key"].transpose(0, 1, 3, 2)
            pair.append(products / np.sqrt(heads["query"].shape[-1]))
        squares = ((pair[0] - pair[1]) ** 2).mean(axis=1)
        total += np.average(squares, weights=ours.mask[:, :, None] * ours.mask[:, None, :])
    return total


def relations(one, ours, theirs, y):
    ((layer, taught),) = one.layers
    logs = []
    for x, number in ((ours, layer), (theirs, taught)):
        blocks = len(x.task.backbone.blocks)
        number = number if number > 0 else blocks + 1 + number
        heads = x.heads(number)
        first, second = (cut(heads[name], one.num_heads) for name in one.names)
        products = first @ second.transpose(0, 1, 3, 2) / np.sqrt(first.shape[-1])
        seen = x.mask[:, None, None, :] > 0
        if x.task.backbone.blocks[0].attention.causal:
            seen = seen & np.tril(np.ones(products.shape[-2:], "bool"))
        logs.append(log_softmax(np.where(seen, products, -1e30)))
    log_q, log_p = logs
    nats = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1).mean(axis=1)
    return np.average(nats, weights=ours.mask)


def cut(heads, num_heads):
    """Heads `(batch, heads, length, head_dim)` put in one row and cut anew."""
    if num_heads is None:
        return heads
    batch, _, length, _ = heads.shape
    rows = heads.transpose(0, 2, 1, 3).reshape(batch, length, num_heads, -1)
    return rows.transpose(0, 2, 1, 3)


def wide(one, states):
    if one.projection is None:
        return states
    return states @ keras.ops.convert_to_numpy(one.projection.kernel).astype("float64")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
