"""Masked language models: trained to fill in tokens that were covered."""

import keras
import numpy as np

from zoo.arguments import LENGTH, RATE, Boolean
from zoo.data.batches import Batches, drawn_batches
from zoo.data.checks import check_token_ids, is_text
from zoo.data.rows import RowFormat
from zoo.layers.encoder_parts import Bias, PredictionTransform, TakePositions
from zoo.models.base import token_inputs
from zoo.objectives import MaskTokens, pad
from zoo.tasks.documents import LearnsFromDocuments
from zoo.tasks.language_model import LanguageModel

BATCH_SIZE = 32


def mask_head(backbone, hidden, positions):
    """Logits `(batch, count, vocab_size)` of the hidden states at some positions."""
    dtype = backbone.dtype_policy
    taken = TakePositions(dtype=dtype, name="take_positions")(hidden, positions=positions)
    transform = PredictionTransform(
        norm_epsilon=backbone.norm_epsilon, dtype=dtype, name="masked_lm_transform"
    )
    return Bias(dtype=dtype, name="masked_lm_bias")(backbone.logits(transform(taken)))


@keras.saving.register_keras_serializable("zoo")
class MaskedLM(LearnsFromDocuments, LanguageModel):
    """An encoder that says which tokens stand behind masks.

    Devlin et al., 2019, section 3.1, https://arxiv.org/abs/1810.04805; documents packed into full
    rows and masked anew in every epoch: Liu et al., 2019, https://arxiv.org/abs/1907.11692.

    ```python
    model = zoo.load("bert-small")
    model.fill("The captain of the [MASK] gave the order.", top_k=5)
    ```

    `fit` and `evaluate` take strings, arrays or any Keras dataset. Only masked positions are
    projected to the vocabulary. `loss` is nats per masked token, beside `perplexity` and
    `accuracy`.

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
        backbone,
        tokenizer=None,
        sequence_length=None,
        mask_rate=0.15,
        whole_words=True,
        **kwargs,
    ):
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

    def prepare(self, x, y=None, sample_weight=None, training=True):
        check_token_ids(x, self.backbone)
        return x, y, sample_weight

    def prepare_inputs(self, x):
        if not is_text(x):
            check_token_ids(x, self.backbone)
            return x
        examples = self._row_format().encode([x] if isinstance(x, str) else list(x))
        token_ids, padding_mask = pad(examples.inputs["token_ids"])
        return {"token_ids": token_ids, "padding_mask": padding_mask}

    def _row_format(self):
        return RowFormat(self.require_mask_token(), self.backbone)

    def require_mask_token(self):
        """The tokenizer; raises ValueError where it has no mask token."""
        if self.require_tokenizer().mask_id is None:
            raise ValueError(
                "Masked language modelling needs a tokenizer with a token such as [MASK]; this one "
                f"has {sorted(self.tokenizer.special_ids)}."
            )
        return self.tokenizer

    def batches(self, documents, batch_size=None, seed=None, is_fixed=False):
        """The batches that `fit` makes of strings.

        Args:
            documents: a string or a list of strings.
            batch_size: int.
            seed: int; None draws one.
            is_fixed: bool, whether every epoch is the first again, as for evaluation.
        """
        length = self.sequence_length or self.backbone.max_length
        rows = packed_rows(self.encode(documents), length, self._row_format())
        return MaskedRows(*rows, self.objective(), batch_size or BATCH_SIZE, seed, is_fixed)

    def objective(self):
        """The `MaskTokens` that `fit` uses."""
        return make_objective(self.require_mask_token(), self.mask_rate, self.whole_words)

    def fill(self, texts, top_k=5):
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
        single = isinstance(texts, str)
        results = [self._fill(text, top_k) for text in ([texts] if single else texts)]
        return results[0] if single else results

    def _fill(self, text, top_k):
        tokenizer, form = self.require_mask_token(), self._row_format()
        if not 1 <= top_k <= self.backbone.vocab_size:
            raise ValueError(
                f"top_k must be from 1 to the vocabulary's {self.backbone.vocab_size}; got {top_k}."
            )
        ids = tokenizer.encode(text, allow_special=True)
        if tokenizer.mask_id not in ids:
            mask = tokenizer.id_to_token(tokenizer.mask_id)
            raise ValueError(f"The text must have a {mask} to be filled; got {text[:60]!r}.")
        if len(ids) > form.room(False):
            raise ValueError(
                f"The text must fit into {form.room(False)} tokens; got {len(ids)}. Shorten it."
            )
        row = np.array([[form.start_id, *ids, form.separator_id]], "int32")
        positions = np.flatnonzero(row[0] == tokenizer.mask_id)[None].astype("int32")
        logits = self.predict_on_batch({"token_ids": row, "masked_positions": positions})
        filled = [self._candidates(one, top_k) for one in np.asarray(logits)[0].astype("float64")]
        return filled[0] if len(filled) == 1 else filled

    def _candidates(self, logits, top_k):
        logits = logits[: self.tokenizer.vocab_size]
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        decode = self.tokenizer.decode
        return [(decode([i], skip_special=False), float(probabilities[i])) for i in best]

    def get_config(self):
        names = ("sequence_length", "mask_rate", "whole_words")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class MaskedRows(Batches):
    """Rows of token ids, masked anew in every epoch.

    Args:
        token_ids: int `(rows, length)`.
        padding_mask: bool `(rows, length)`.
        objective: a `zoo.objectives.MaskTokens`.
        batch_size: int.
        seed: int or None.
        is_fixed: bool, whether order and masks are always the same.
    """

    def __init__(self, token_ids, padding_mask, objective, batch_size, seed=None, is_fixed=False):
        self.token_ids = token_ids
        self.padding_mask = padding_mask
        self.objective = objective
        self.batch_size = batch_size
        super().__init__(seed, is_fixed)

    def plan(self, rng):
        return drawn_batches(len(self.token_ids), self.batch_size, rng)

    def make(self, planned):
        rows, seed = planned
        mask = self.padding_mask[rows]
        masked, positions, labels, weight = self.objective(
            self.token_ids[rows], mask, np.random.default_rng(seed)
        )
        inputs = {"token_ids": masked, "padding_mask": mask, "masked_positions": positions}
        return inputs, labels, weight


def packed_rows(documents, length, form):
    """Documents, a separator between them, as full rows `[CLS] ... [SEP]`; the last is padded.

    Returns:
        `(token_ids, padding_mask)`, int32 and bool `(rows, length)`.

    Raises:
        ValueError: if there is no token.
    """
    stream = [token for ids in documents if ids for token in (*ids, form.separator_id)][:-1]
    if not stream:
        raise ValueError(
            f"There is nothing to learn from: {len(documents)} texts without a token. Check them."
        )
    room = length - 2
    parts = [stream[i : i + room] for i in range(0, len(stream), room)]
    token_ids, mask = pad([[form.start_id, *part, form.separator_id] for part in parts])
    padding = ((0, 0), (0, length - token_ids.shape[1]))
    return np.pad(token_ids, padding), np.pad(mask, padding)


def make_objective(tokenizer, mask_rate, whole_words):
    """`MaskTokens` for a tokenizer."""
    special_ids = tuple(tokenizer.special_ids.values())
    continues = continuing_tokens(tokenizer) if whole_words else None
    return MaskTokens(
        tokenizer.mask_id, tokenizer.vocab_size, special_ids, mask_rate, continues=continues
    )


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
