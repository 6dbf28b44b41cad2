"""BERT's two objectives at once: masked tokens and next sentences."""

import keras
import numpy as np
from keras import ops

from zoo import optimizers
from zoo.data.batches import Batches, Splits, drawn_batches
from zoo.data.labels import refuse_labels
from zoo.data.rows import RowFormat
from zoo.data.streams import pools
from zoo.data.texts import filled, is_text, warn_dropped
from zoo.layers import is_likeliest, token_nats
from zoo.layers.dense import Dense
from zoo.layers.encoder_parts import Pooler
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone, token_inputs
from zoo.objectives import NextSentencePairs, split_sentences
from zoo.tasks.base import Task
from zoo.tasks.language_model import token_weights
from zoo.tasks.masked_lm import (
    MaskedLM,
    check_sequence_length,
    make_objective,
    mask_head,
    without_positions,
)
from zoo.tokenizers import Tokenizer

OBJECTIVES = ("masked_lm", "next_sentence")


@keras.saving.register_keras_serializable("zoo")
class BertPretrainer(Task):
    """An encoder that fills in masked tokens and tells whether a second text follows the first.

    Devlin et al., 2019, section 3.1, https://arxiv.org/abs/1810.04805.

    `fit` and `evaluate` take documents: strings, at least two, whose sentences are paired and
    masked anew in every epoch. The loss is the sum of the two objectives' own means, over masked
    tokens and over pairs; each is reported, with its accuracy.

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer` with start, end and mask tokens; None for a model
            that works on token ids only.
        sequence_length: int, tokens in a training row; None for the backbone's `max_length`.
        mask_rate: float, the share of tokens that are chosen.
        whole_words: bool, whether all pieces of a word are chosen together.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, and optionally `segment_ids`,
            `padding_mask` and `masked_positions`, int `(batch, count)`.

    Returns:
        A dict of logits: `masked_lm` `(batch, count or length, vocab_size)` and `next_sentence`
        `(batch, 2)`, of which the first means that the second text follows.
    """

    task_name = "pretraining"
    arguments = MaskedLM.arguments
    heads = ("pooler", "next_sentence", *MaskedLM.heads)

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        sequence_length: int | None = None,
        mask_rate: float = 0.15,
        whole_words: bool = True,
        **kwargs,
    ) -> None:
        dtype = backbone.dtype_policy
        inputs = token_inputs((*backbone.optional_inputs, "masked_positions"))
        hidden = backbone(without_positions(inputs))
        pooled = Pooler(dtype=dtype, name="pooler")(hidden)
        next_sentence = Dense(2, kernel_initializer=Normal(0.02), dtype=dtype, name="next_sentence")
        outputs = {
            "masked_lm": mask_head(backbone, hidden, inputs["masked_positions"]),
            "next_sentence": next_sentence(pooled),
        }
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.sequence_length = sequence_length
        self.mask_rate = mask_rate
        self.whole_words = whole_words
        check_sequence_length(sequence_length, backbone)
        self._means = {
            f"{objective}_{what}": keras.metrics.Mean(name=f"{objective}_{what}", dtype="float32")
            for objective in OBJECTIVES
            for what in ("loss", "accuracy")
        }

    @property
    def optional_inputs(self):
        return (*self.backbone.optional_inputs, "masked_positions")

    def usual_optimizer(self):
        return optimizers.for_pretraining(weight_decay=0.01)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total = sum(self.losses) if self.losses else 0.0
        for objective in OBJECTIVES:
            weight = None if sample_weight is None else sample_weight.get(objective)
            total = total + self._mean_loss(objective, y[objective], y_pred[objective], weight)
        return total

    def _mean_loss(self, objective, labels, logits, weight):
        labels = ops.cast(labels, "int32")
        weight = token_weights(labels, weight) if len(labels.shape) == 2 else _ones(labels, weight)
        count = ops.sum(weight)
        loss = ops.divide_no_nan(ops.sum(weight * token_nats(labels, logits)), count)
        hits = ops.divide_no_nan(ops.sum(weight * is_likeliest(labels, logits)), count)
        self._means[f"{objective}_loss"].update_state(loss, sample_weight=count)
        self._means[f"{objective}_accuracy"].update_state(hits, sample_weight=count)
        return loss

    def is_example(self, item):
        return is_text(item) or is_tokenised(item)

    @property
    def row_format(self):
        return RowFormat(self.require_tokenizer(), self.backbone, self.special_tokens)

    def rows(self, x):
        return self.row_format.encode(x)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`Documents`: lists of sentences' token ids."""
        refuse_labels(self, y, sample_weight)
        if len(x) == 1:
            raise ValueError(
                "Next sentences need at least two documents, since a wrong one comes from another; "
                "got a single text. Pass a list of texts."
            )
        if is_text(x[0]):
            x = [self.encode(split_sentences(text)) for text in filled(x)]
            warn_dropped(sum(not any(sentences) for sentences in x), len(x), "documents")
        return Documents(x)

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        form = self.row_format
        length = self.sequence_length or self.backbone.max_length
        pairs = NextSentencePairs(length, form.start_id, form.separator_id)
        mask_id = self.special_tokens.require("mask", "Masked language modelling")
        masks = make_objective(self.tokenizer, mask_id, self.mask_rate, self.whole_words)
        documents = examples.documents
        return SentencePairs(documents, pairs, masks, batch_size, shuffle, seed, is_fixed)

    def stream_batches(self, parts, batch_size, training):
        """Each pool of documents is paired and masked by itself."""
        for x, y, weights in pools(parts):
            examples = self.examples(x, y, weights, None, training)
            batches = self.make_batches(examples, batch_size, False, None if training else 0, True)
            yield from (batches[i] for i in range(len(batches)))

    def get_config(self) -> dict:
        names = ("sequence_length", "mask_rate", "whole_words")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class Documents(Splits):
    """Documents, each a list of sentences, each a list of token ids."""

    def __init__(self, documents):
        self.documents = documents

    def __len__(self):
        return len(self.documents)

    def part(self, rows):
        """Some documents, by a slice."""
        return Documents(self.documents[rows])


class SentencePairs(Batches):
    """Pairs of runs of sentences, drawn and masked anew in every epoch.

    Args:
        documents: lists of sentences, each a list of token ids.
        pairs: a `zoo.objectives.NextSentencePairs`.
        masks: a `zoo.objectives.MaskTokens`.
        batch_size: int.
        shuffle: bool, whether the pairs' order is drawn too.
        seed: int or None.
        is_fixed: bool, whether every epoch is the first again.
    """

    def __init__(
        self, documents, pairs, masks, batch_size, shuffle=True, seed=None, is_fixed=False
    ):
        self.documents = documents
        self.pairs = pairs
        self.masks = masks
        self.batch_size = batch_size
        self.shuffle = shuffle
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        rows = self.pairs(self.documents, rng)
        is_drawn = self.shuffle or self.is_fixed
        drawn = drawn_batches(len(rows[0]), self.batch_size, rng, is_drawn)
        return [(rows, places, seed) for places, seed in drawn]

    def make(self, planned):
        rows, places, seed = planned
        token_ids, segment_ids, mask, is_other = (array[places] for array in rows)
        rng = np.random.default_rng(seed)
        masked, positions, labels, weight = self.masks(token_ids, mask, rng)
        inputs = {
            "token_ids": masked,
            "segment_ids": segment_ids,
            "padding_mask": mask,
            "masked_positions": positions,
        }
        ones = np.ones(len(places), "float32")
        labels = {"masked_lm": labels, "next_sentence": is_other}
        return inputs, labels, {"masked_lm": weight, "next_sentence": ones}


def is_tokenised(item):
    """Whether an item is a document as a list of sentences' token ids."""
    return isinstance(item, list) and bool(item) and isinstance(item[0], (list, np.ndarray))


def _ones(labels, weight):
    return ops.ones(ops.shape(labels), "float32") if weight is None else ops.cast(weight, "float32")
