"""Masked language models: trained to fill in tokens that were covered."""

import contextlib
from typing import Any

import keras
import numpy as np

from zoo.arguments import LENGTH, RATE, Boolean
from zoo.backends.buckets import bucket
from zoo.checks import require_whole
from zoo.data.batches import Batches, FullRows, drawn_batches
from zoo.data.labels import checked_weights, refuse_labels, weights_of_tokens
from zoo.data.rows import RowFormat
from zoo.data.sources import texts_of
from zoo.data.streams import pools
from zoo.data.texts import NothingToLearn, warn_dropped
from zoo.layers.encoder_parts import Bias, PredictionTransform, TakePositions
from zoo.models.base import Backbone, token_inputs
from zoo.objectives import MaskTokens, pad
from zoo.tasks.language_model import LanguageModel
from zoo.tokenizers import Tokenizer


def mask_head(backbone, hidden, positions):
    """Logits `(batch, count, vocab_size)` of the hidden states at some positions."""
    dtype = backbone.dtype_policy
    taken = TakePositions(dtype=dtype, name="take_positions")(hidden, positions=positions)
    transform = PredictionTransform(
        backbone.transform_activation,
        backbone.norm_epsilon,
        dtype=dtype,
        name="masked_lm_transform",
    )
    return Bias(dtype=dtype, name="masked_lm_bias")(backbone.logits(transform(taken)))


@keras.saving.register_keras_serializable("zoo")
class MaskedLM(LanguageModel):
    """An encoder that says which tokens stand behind masks.

    Devlin et al., 2019, section 3.1, https://arxiv.org/abs/1810.04805; documents packed into full
    rows and masked anew in every epoch: Liu et al., 2019, https://arxiv.org/abs/1907.11692.

    ```python
    model = zoo.load("bert-small")
    model.fill("The captain of the [MASK] gave the order.", top_k=5)
    ```

    `fit` and `evaluate` take strings, arrays or any Keras dataset. With strings, `sample_weight` is
    a number for each, and `class_weight` has one for some tokens, by their spelling or id. Only
    masked positions are projected to the vocabulary. `loss` is nats per masked token, beside
    `perplexity` and `accuracy`.

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer` with a mask token; None for a model that works on
            token ids only.
        sequence_length: int, tokens in a training row; None for the backbone's `max_length`.
        mask_rate: float, the share of tokens that are chosen.
        whole_words: bool, whether all pieces of a word are chosen together.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict of these and optionally `segment_ids`,
            `padding_mask` and `masked_positions`, int `(batch, count)`.

    Returns:
        Logits `(batch, count, vocab_size)`; of all positions if no `masked_positions` are given.
    """

    task_name = "masked_lm"
    arguments = LanguageModel.arguments | {
        "sequence_length": LENGTH,
        "mask_rate": RATE,
        "whole_words": Boolean(),
    }
    heads = ("masked_lm_transform", "masked_lm_bias")

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        sequence_length: int | None = None,
        mask_rate: float = 0.15,
        whole_words: bool = True,
        **kwargs,
    ) -> None:
        inputs = token_inputs((*backbone.optional_inputs, "masked_positions"))
        hidden = backbone(without_positions(inputs))
        outputs = mask_head(backbone, hidden, inputs["masked_positions"])
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.sequence_length = sequence_length
        self.mask_rate = mask_rate
        self.whole_words = whole_words
        check_sequence_length(sequence_length, backbone)

    @property
    def optional_inputs(self):
        return (*self.backbone.optional_inputs, "masked_positions")

    weighs_tokens = True

    def rows(self, x):
        return self._row_format().encode(x)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`FullRows` of documents, packed, and of each token's weight."""
        refuse_labels(self, y)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(x))
        length = self.sequence_length or self.backbone.max_length
        documents = self.encode(x)
        token_ids, mask, weights = packed_rows(documents, length, self._row_format(), weights)
        if class_weight is not None:
            of_tokens = weights_of_tokens(class_weight, self.tokenizer)[token_ids]
            weights = of_tokens if weights is None else weights * of_tokens
        warn_dropped(sum(not ids for ids in documents), len(documents), "texts")
        return FullRows({"token_ids": token_ids, "padding_mask": mask, "weights": weights})

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        return MaskedRows(examples, self.objective(), batch_size, shuffle, seed, is_fixed)

    def stream_batches(self, parts, batch_size, training):
        """Each pool of documents is packed and masked by itself."""
        for x, y, weights in pools(parts):
            with contextlib.suppress(NothingToLearn):
                examples = self.examples(x, y, weights, None, training)
                seed = None if training else 0
                batches = self.make_batches(examples, batch_size, False, seed, True)
                yield from (batches[i] for i in range(len(batches)))

    def _row_format(self):
        return RowFormat(self.require_mask_token(), self.backbone, self.special_tokens)

    def require_mask_token(self):
        """The tokenizer; raises ValueError where the task has no mask token."""
        if self.require_tokenizer() and self.special_tokens.mask is None:
            raise ValueError(
                "Masked language modelling needs a tokenizer with a token such as [MASK]; this one "
                f"has {sorted(self.tokenizer.special_ids)}."
            )
        return self.tokenizer

    def objective(self):
        """The `MaskTokens` that `fit` uses."""
        tokenizer, mask_id = self.require_mask_token(), self.special_tokens.mask
        return make_objective(tokenizer, mask_id, self.mask_rate, self.whole_words)

    def fill(self, texts: Any, top_k: int = 5) -> list:
        """The likeliest tokens behind each `[MASK]` of a text.

        Args:
            texts: a string or a list of strings, each with a mask token in it, spelled as the
                tokenizer spells it.
            top_k: int.

        Returns:
            For a text with one mask, a list of `top_k` pairs `(token, probability)`, the
            likeliest first; for one with several, a list of such lists. For a list of texts, a
            list of these.

        Raises:
            ValueError: if a text has no mask, or does not fit into the context.
        """
        texts, single = texts_of(texts)
        require_whole("top_k", top_k, optional=False)
        results = [self._fill(text, top_k) for text in texts]
        return results[0] if single else results

    def _fill(self, text, top_k):
        tokenizer, form = self.require_mask_token(), self._row_format()
        if top_k > tokenizer.vocab_size:
            raise ValueError(
                f"top_k must be from 1 to the vocabulary's {tokenizer.vocab_size}; got {top_k}."
            )
        mask_id = self.special_tokens.mask
        ids = tokenizer.encode(text, allow_special=True)
        if mask_id not in ids:
            mask = tokenizer.id_to_token(mask_id)
            raise ValueError(f"The text must have a {mask} to be filled; got {text[:60]!r}.")
        if len(ids) > form.room(False):
            raise ValueError(
                f"The text must fit into {form.room(False)} tokens; got {len(ids)}. Shorten it."
            )
        rows = form.lay_out([ids])
        (row,) = rows.inputs["token_ids"]
        places = np.flatnonzero(row == mask_id)
        positions = np.zeros((1, bucket(len(places), 1, len(row))), "int32")
        positions[0, : len(places)] = places
        inputs = rows.model_inputs([0], self.backbone.max_length) | {"masked_positions": positions}
        logits = self.outputs_of(inputs, 1)[0, : len(places)].astype("float64")
        filled = [self._candidates(one, top_k) for one in logits]
        return filled[0] if len(filled) == 1 else filled

    def _candidates(self, logits, top_k):
        logits = logits[: self.tokenizer.vocab_size]
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        decode = self.tokenizer.decode
        return [(decode([i], skip_special=False), float(probabilities[i])) for i in best]

    def get_config(self) -> dict:
        names = ("sequence_length", "mask_rate", "whole_words")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class MaskedRows(Batches):
    """Rows of token ids, masked anew in every epoch.

    Args:
        rows: `FullRows` of `token_ids`, int, of `padding_mask`, bool, and of `weights`, float32 or
            None, `(rows, length)` each.
        objective: a `zoo.objectives.MaskTokens`.
        batch_size: int.
        shuffle: bool, whether the order is drawn too.
        seed: int or None.
        is_fixed: bool, whether order and masks are always the same.
    """

    def __init__(self, rows, objective, batch_size, shuffle=True, seed=None, is_fixed=False):
        self.rows = rows
        self.objective = objective
        self.batch_size = batch_size
        self.shuffle = shuffle
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        return drawn_batches(len(self.rows), self.batch_size, rng, self.shuffle or self.is_fixed)

    def make(self, planned):
        places, seed = planned
        part = self.rows.part(places)
        mask = part["padding_mask"]
        masked, positions, labels, weight = self.objective(
            part["token_ids"], mask, np.random.default_rng(seed)
        )
        if part["weights"] is not None:
            weight = weight * np.take_along_axis(part["weights"], positions, axis=1)
        inputs = {"token_ids": masked, "padding_mask": mask, "masked_positions": positions}
        return inputs, labels, weight


def packed_rows(documents, length, form, weights=None):
    """Documents, a separator between them, as full rows `[CLS] ... [SEP]`; the last is padded.

    Args:
        documents: lists of token ids; those without a token are left out.
        length: int, tokens in a row.
        form: a `RowFormat`.
        weights: a number for each document, or None.

    Returns:
        `(token_ids, padding_mask, weights)`, int32, bool and float32 `(rows, length)`, the weights
        None without any.

    Raises:
        ValueError: if there is no token.
    """
    stream = [token for ids in documents if ids for token in (*ids, form.separator_id)][:-1]
    if not stream:
        raise NothingToLearn(
            f"There is nothing to learn from: {len(documents)} texts without a token. Check them."
        )
    room = length - 2
    parts = [stream[i : i + room] for i in range(0, len(stream), room)]
    token_ids, mask = pad([[form.start_id, *part, form.separator_id] for part in parts])
    padding = ((0, 0), (0, length - token_ids.shape[1]))
    token_ids, mask = np.pad(token_ids, padding), np.pad(mask, padding)
    if weights is None:
        return token_ids, mask, None
    sizes = [len(ids) + 1 if ids else 0 for ids in documents]
    of_rows = np.ones((len(parts), length), "float32")
    of_tokens = np.repeat(weights, sizes)[: len(stream)]
    of_tokens = np.pad(of_tokens, (0, len(parts) * room - len(stream)))
    of_rows[:, 1:-1] = of_tokens.reshape(-1, room)
    return token_ids, mask, of_rows


def make_objective(tokenizer, mask_id, mask_rate, whole_words):
    """`MaskTokens` for a tokenizer."""
    special_ids = tuple(tokenizer.special_ids.values())
    continues = continuing_tokens(tokenizer) if whole_words else None
    return MaskTokens(mask_id, tokenizer.vocab_size, special_ids, mask_rate, continues=continues)


def continuing_tokens(tokenizer):
    """Which tokens go on with a word: bool `(vocab_size,)`."""
    tokens = [tokenizer.id_to_token(i) for i in range(tokenizer.vocab_size)]
    if tokenizer.is_byte_level:
        return np.array([not token.startswith("Ġ") for token in tokens])
    return np.array([token.startswith("##") for token in tokens])


def without_positions(inputs):
    return {name: value for name, value in inputs.items() if name != "masked_positions"}


def check_sequence_length(sequence_length, backbone):
    if sequence_length is not None and not 3 <= sequence_length <= backbone.max_length:
        raise ValueError(
            f"sequence_length must be between 3 and the backbone's max_length of "
            f"{backbone.max_length}; got {sequence_length}."
        )
