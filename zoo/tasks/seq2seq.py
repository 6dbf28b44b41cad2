"""Sequence to sequence: trained on pairs of texts, used to write the second from the first."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo import optimizers
from zoo.arguments import LENGTH, RATE, Boolean
from zoo.backends import backend
from zoo.backends.buckets import pad_to_buckets
from zoo.data.encoding import encoded
from zoo.data.pairs import (
    PairBuckets,
    PairFormat,
    check_pair_arrays,
    check_pair_inputs,
    split_pairs,
)
from zoo.data.rows import is_pair
from zoo.data.texts import is_text
from zoo.generation import Beam, Request, Sampler
from zoo.generation.usual import usual_length
from zoo.layers import token_nats
from zoo.models.base import Backbone
from zoo.models.encoder_decoder import pair_inputs
from zoo.tasks.language_model import LanguageModel
from zoo.tasks.writing import BATCH_SIZE, WritingTask, as_they_came, emptied, with_starts
from zoo.tokenizers import Tokenizer

SCORE_BATCH = 8


@keras.saving.register_keras_serializable("zoo")
class Seq2SeqLM(WritingTask, LanguageModel):
    """An encoder-decoder and its head: two sequences to logits of the second one's tokens.

    `fit`, `evaluate` and `score` take sources and targets as text, batched by length: no pair is
    padded to the length of a much longer one. The encoder reads a source and the tokenizer's end
    token; the decoder learns each token of a target, and the end token after it, from those before
    it, the first from the start token. `perplexity`, `accuracy` and the loss of `evaluate` are of
    the real tokens of targets, in nats; the loss of `fit` adds label smoothing (Szegedy et al.,
    2016, section 7, https://arxiv.org/abs/1512.00567).

    ```python
    model.fit([("a house", "une maison"), ("a tree", "un arbre")])
    model.generate("a house", sampler=zoo.generation.Beam(5))
    ```

    Args:
        backbone: an encoder-decoder such as `zoo.models.Transformer`.
        tokenizer: a `zoo.tokenizers.Tokenizer` of both languages; None for a model that takes
            token ids only.
        source_length: int, the most tokens of a source to train on; None for the backbone's
            `max_length`.
        target_length: int, the same of a target.
        label_smoothing: float, the share of a label's probability that all tokens share equally,
            in training with the usual loss.
        source_start: bool, whether the start token also goes before a source, as in BART (Lewis et
            al., 2020, https://arxiv.org/abs/1910.13461).

    Call arguments:
        inputs: a dict of `token_ids` and `decoder_token_ids`, int `(batch, source_length)` and
            `(batch, target_length)`, and optionally `padding_mask` and `decoder_padding_mask`.

    Returns:
        Logits `(batch, target_length, vocab_size)`.

    Raises:
        ValueError: if a length is not within the backbone's `max_length`, or the tokenizer has
            other ids than the backbone.
    """

    task_name = "seq2seq"
    arguments = LanguageModel.arguments | {
        "source_length": LENGTH,
        "target_length": LENGTH,
        "label_smoothing": RATE,
        "source_start": Boolean(),
    }

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        source_length: int | None = None,
        target_length: int | None = None,
        label_smoothing: float = 0.1,
        source_start: bool = False,
        **kwargs,
    ) -> None:
        # Of `compile`, kept with the task.
        writing = kwargs.pop("sampler", None), kwargs.pop("request", None)
        for name, length in (("source_length", source_length), ("target_length", target_length)):
            if length is not None and not 2 <= length <= backbone.max_length:
                raise ValueError(
                    f"{name} must be between 2 and the backbone's max_length of "
                    f"{backbone.max_length}; got {length}."
                )
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1; got {label_smoothing!r}."
            )
        inputs = pair_inputs()
        outputs = backbone.logits(backbone(inputs))
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.source_length = source_length
        self.target_length = target_length
        self.label_smoothing = label_smoothing
        self.source_start = source_start
        self.start_writing(*writing)
        self._score = backend.compile_function(self, self._row_nats)

    @property
    def optional_inputs(self):
        return self.backbone.optional_inputs

    def usual_optimizer(self):
        return optimizers.for_transformer(self.backbone.hidden_dim)

    def is_example(self, item):
        return is_text(item) or is_pair(item)

    def rows(self, x):
        return self.pair_format.examples(*split_pairs(x))

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`PairExamples` of a list of pairs, or of sources and their targets."""
        self.require_tokenizer()
        sources, targets = split_pairs(x, y)
        return self.pair_format.examples(sources, targets, sample_weight, drop=True)

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        return PairBuckets(examples, batch_size, shuffle, self.backbone.max_length, seed)

    def prepare(self, x, y=None, sample_weight=None, training=True):
        check_pair_arrays(x, y, sample_weight, self.backbone)
        return x, y, sample_weight

    def check_inputs(self, x):
        check_pair_inputs(x, self.backbone)

    @property
    def pair_format(self):
        most = self.backbone.max_length
        return self._pair_format(self.source_length or most, self.target_length or most)

    def _pair_format(self, source_length, target_length):
        return PairFormat(
            self.tokenizer,
            source_length,
            target_length,
            self.source_start,
            self.special_tokens,
        )

    def generate(
        self,
        sources: Any,
        max_new_tokens: int | None = None,
        sampler: str | Sampler | Beam | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] | None = None,
        num_return: int = 1,
        truncate: bool = False,
        batch_size: int = BATCH_SIZE,
        verbose: str | int = "auto",
        return_scores: bool = False,
        **others,
    ) -> Any:
        """Write the targets of sources.

        An end token ends a target and is left out of it, as is what every target starts from. The
        target of an empty source is empty.

        Args:
            sources: a string or a list of strings; or a list of token ids or a list of such lists,
                without start and end tokens. A batch gives what its sources would give one by one.
            max_new_tokens: int, the most tokens of a target; None for the number of `compile` or
                of the model's files, or else for `target_length`.
            truncate: bool, whether to read only the start of a source that is too long.
            sampler, seed, stop, num_return, batch_size, verbose, return_scores, others: those of
                `zoo.CausalLM.generate`.

        Returns:
            A target of the kind that came in: a string for a string, a list for a list; for
            `num_return > 1` a list in each one's place, the best of a beam first.

        Raises:
            ValueError: if a source does not fit into the context, an id is outside the
                vocabulary, an argument is out of range, or the model's logits are NaN.
            TypeError: if a source is neither text nor token ids.
        """
        most = self.backbone.max_length
        most_new = most - self.special_tokens.num_given
        if max_new_tokens is None:
            usual = usual_length(self.usual_request, None, self.target_length or most)
            max_new_tokens = min(usual, most_new)
        request = Request.make(
            self,
            max_new_tokens=max_new_tokens,
            sampler=sampler,
            seed=seed,
            stop=stop,
            num_return=num_return,
            truncate=truncate,
            batch_size=batch_size,
            verbose=verbose,
            return_scores=return_scores,
            others=others,
        )
        if max_new_tokens > most_new:
            raise ValueError(
                f"max_new_tokens must fit into the context of {most_new} tokens; got "
                f"{max_new_tokens}."
            )
        sources, is_single, is_text = self.as_rows(sources, "source", request)
        pair_format = self._pair_format(most, most)
        ids = encoded(self.tokenizer, sources) if is_text else sources
        if not truncate:
            pair_format.require_fit(ids)
        found = self.write([pair_format.source_row(row) for row in ids], request, is_text)
        found = with_starts(found, ["" if is_text else []] * len(ids))
        found = [few if row else emptied(few) for row, few in zip(ids, found, strict=True)]
        return as_they_came(found, request.num_return, is_single)

    def score(self, sources: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
        """How likely the model finds targets, given their sources.

        Args:
            sources, targets: lists of strings.

        Returns:
            `(nats, num_tokens)`: float32 and int32 arrays `(len(sources),)`. `nats` is the sum of
            `-log p` over a target's tokens and its end token.

        Raises:
            ValueError: if a text does not fit into the context or has no tokens, or there are not
                as many targets as sources.
        """
        self.require_tokenizer()
        sources, targets = split_pairs(sources, targets)
        most = self.backbone.max_length
        pair_format = self._pair_format(most, most)
        examples = pair_format.examples(sources, targets, cut=False)
        nats = np.zeros(len(examples), "float32")
        data = PairBuckets(examples, SCORE_BATCH, False, most) if len(examples) else None
        for index, planned in enumerate(data.plan(None) if data else ()):
            batch = keras.tree.map_structure(
                lambda x: ops.convert_to_tensor(pad_to_buckets(x, SCORE_BATCH, most)), data[index]
            )
            nats[planned] = ops.convert_to_numpy(self._score(*batch))[: len(planned)]
        return nats, np.array([len(row) - 1 for row in examples.targets], "int32")

    def _row_nats(self, inputs, labels, weight):
        return ops.sum(weight * token_nats(labels, self(inputs, training=False)), axis=1)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "source_length": self.source_length,
            "target_length": self.target_length,
            "label_smoothing": self.label_smoothing,
            "source_start": self.source_start,
        }
