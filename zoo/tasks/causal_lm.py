"""Causal language models: trained to predict the next token, used to continue a text."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from zoo.arguments import LENGTH, Boolean
from zoo.data.batches import Examples, FullRows, RowBatches
from zoo.data.checks import check_labels, check_token_ids
from zoo.data.labels import checked_weights, refuse_labels
from zoo.data.rows import checked_rows, with_tokens
from zoo.data.texts import NothingToLearn
from zoo.generation import Beam, Request, Sampler
from zoo.generation.readers import context_length
from zoo.generation.usual import usual_length
from zoo.models.base import Backbone, token_inputs
from zoo.objectives import PackedCausalLM, next_token_rows, packed_batches
from zoo.tasks.chatting import CHAT_TEMPLATE, ChattingTask
from zoo.tasks.language_model import LanguageModel
from zoo.tasks.scoring import ScoringTask
from zoo.tasks.stateful import StatefulRuns
from zoo.tasks.writing import BATCH_SIZE, WritingTask, as_they_came, with_starts
from zoo.tokenizers import Tokenizer

NEW_TOKENS = 64


@keras.saving.register_keras_serializable("zoo")
class CausalLM(ChattingTask, ScoringTask, WritingTask, StatefulRuns, LanguageModel):
    """A backbone and its tied head: token ids to logits of the next token.

    `fit`, `evaluate` and `predict` take strings, arrays or any Keras dataset. Strings are packed
    into full rows of `sequence_length` tokens, `fit` dropping only the last partial row. An
    array of token ids without labels is shifted by one to make them. `loss` is nats per real
    token, beside `perplexity` and `accuracy`.

    Args:
        backbone: a causal backbone such as `zoo.models.GPT` or `zoo.models.LSTM`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        sequence_length: int, tokens in a training row; None for the backbone's `max_length`.
        stateful: bool, whether `fit` and `evaluate` read their text as one stream, each batch going
            on from the states in which the last one ended: truncated backpropagation through time,
            for recurrent backbones. See `zoo.tasks.stateful`.
        chat_template: str, the Jinja text by which `chat` writes messages; None for a model that
            was not made for conversations.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict of `token_ids` and `padding_mask`.

    Returns:
        Logits `(batch, length, vocab_size)`.

    Raises:
        ValueError: if `sequence_length` is not within the backbone's `max_length`, the tokenizer
            has other ids than the backbone, or the backbone reads from both sides or, for
            `stateful`, has no state.
    """

    task_name = "causal_lm"
    arguments = LanguageModel.arguments | {
        "sequence_length": LENGTH,
        "stateful": Boolean(),
        "chat_template": CHAT_TEMPLATE,
    }

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        sequence_length: int | None = None,
        stateful: bool = False,
        chat_template: str | None = None,
        **kwargs,
    ) -> None:
        # Of `compile`, kept with the task.
        writing = kwargs.pop("sampler", None), kwargs.pop("request", None)
        if getattr(backbone, "bidirectional", False):
            raise ValueError(
                "A causal language model must not see the tokens that it predicts, but this "
                f"{type(backbone).__name__} is bidirectional. Make it with bidirectional=False."
            )
        inputs = token_inputs()
        outputs = backbone.logits(backbone(inputs))
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.sequence_length = sequence_length
        self.stateful = stateful
        self.chat_template = chat_template
        self.start_carrying()
        self.start_writing(*writing)
        self.start_scoring()
        if sequence_length is not None and not 1 <= sequence_length <= backbone.max_length:
            raise ValueError(
                f"sequence_length must be between 1 and the backbone's max_length of "
                f"{backbone.max_length}; got {sequence_length}."
            )

    def rows(self, x):
        return Examples({"token_ids": checked_rows(self.encode(x), self.backbone)})

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`FullRows` of documents, packed."""
        refuse_labels(self, y)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(x))
        documents, weights = with_tokens(self.encode(x), weights)
        objective = PackedCausalLM(self.row_length, self._separator(), drop_remainder=training)
        arrays = objective(self.begun(documents), weights)
        return FullRows(dict(zip(("token_ids", "labels", "weights"), arrays, strict=True)))

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        return RowBatches(examples, batch_size, shuffle, seed, is_fixed)

    def stream_batches(self, parts, batch_size, training):
        """The rows of all documents, packed as they come."""

        def documents():
            is_empty = True
            for x, y, weights in parts:
                refuse_labels(self, y)
                if weights is not None:
                    weights = checked_weights(weights, len(x))
                ids, weights = with_tokens(self.encode(x), weights)
                weights = [1.0] * len(ids) if weights is None else weights
                with_token = [pair for pair in zip(ids, weights, strict=True) if pair[0]]
                is_empty = is_empty and not with_token
                yield from ((self.begun([ids])[0], weight) for ids, weight in with_token)
            if is_empty:
                raise NothingToLearn("There is nothing to learn from: no text has a token.")

        separator = self._separator()
        return packed_batches(documents(), self.row_length, batch_size, separator, training)

    @property
    def row_length(self):
        """Tokens in a training row."""
        return self.sequence_length or self.backbone.max_length

    def _separator(self):
        return self.special_tokens.require("between", "Packing texts into rows")

    def prepare(self, x, y=None, sample_weight=None, training=True):
        if y is None:
            inputs = x if isinstance(x, dict) else {"token_ids": x}
            mask = inputs.get("padding_mask")
            x, y, shifted_weight = next_token_rows(inputs["token_ids"], mask)
            if mask is not None:
                x = {"token_ids": x, "padding_mask": np.asarray(mask, "bool")[:, :-1]}
            sample_weight = shifted_weight if sample_weight is None else sample_weight
        check_token_ids(x, self.backbone)
        check_labels(x, y, sample_weight, self.backbone)
        return x, y, sample_weight

    def generate(
        self,
        prompts: Any,
        max_new_tokens: int | None = None,
        sampler: str | Sampler | Beam | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] | None = None,
        num_return: int = 1,
        truncate: bool = False,
        strip_prompt: bool = False,
        batch_size: int = BATCH_SIZE,
        verbose: str | int = "auto",
        return_scores: bool = False,
        draft: Any = None,
        **others,
    ) -> Any:
        """Continue prompts.

        An end token ends a continuation and is left out of it. An empty string stands for the
        start of a text.

        Args:
            prompts: a string or a list of strings; or a list of token ids or a list of such
                lists. A batch gives what its prompts would give one by one.
            max_new_tokens: int; None for the number of `compile` or of the model's files, or
                else 64.
            sampler: `"greedy"`, `"sample"`, `"top_k"`, `"top_p"`, `"min_p"`, `"beam"`, or a
                `zoo.generation` sampler or `Beam`; None for that of `compile`, which is greedy if
                none was given.
            seed: int: the same seed gives the same text, and every prompt of a list its own draws;
                or a list with an int for each prompt, which then draws as it would alone with it.
                None draws one, as `keras.utils.set_random_seed` governs.
            stop: a string or several; the text ends before the one that starts first in it.
            num_return: int, continuations for each prompt: different draws, or a beam's best.
            truncate: bool, whether to keep only the end of a prompt that is too long.
            strip_prompt: bool, whether to return the continuation alone.
            batch_size: int, prompts that are continued together, those of similar length.
            verbose: 1 for a progress bar, 0 for none, `"auto"` for one after a few seconds.
            return_scores: bool, whether to return a `zoo.generation.Scored` in place of each text:
                the text, its new tokens, and how likely each was.
            draft: `"prompt"` to guess tokens from what the text so far has in common with itself,
                or a smaller `zoo.CausalLM` of the same vocabulary. The model reads several guesses
                at once: the text is the same, and comes sooner where guesses are right.
            **others: `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`, `eta_cutoff` or
                `repetition_penalty`, instead of a sampler that has them; `num_return_sequences`
                for `num_return`; and, in any combination, what is asked beside the likelihood:
                `min_new_tokens` and `no_repeat_ngram_size`, ints; `bad_words`, texts or lists of
                ids that shall not occur; `force_end`, whether the last new token ends the text;
                `logit_bias`, `{id, tuple of ids or text: number}`;
                `presence_penalty` and `frequency_penalty`, of new tokens; `choices`, texts of which
                one is written; `regex`, which the new text matches; `processors`, functions of
                (ids, logits). See `zoo.generation.processors`.

        Returns:
            The prompt with its continuation, of the kind that came in: a string for a string, a
            list for a list; for `num_return > 1` a list in each one's place.

        Raises:
            ValueError: if a prompt does not fit into the context, an id is outside the
                vocabulary, an argument is out of range, or the model's logits are NaN.
            TypeError: if a prompt is neither text nor token ids.
        """
        request = Request.make(
            self,
            max_new_tokens=usual_length(self.usual_request, max_new_tokens, NEW_TOKENS),
            sampler=sampler,
            seed=seed,
            stop=stop,
            num_return=num_return,
            truncate=truncate,
            strip_prompt=strip_prompt,
            batch_size=batch_size,
            verbose=verbose,
            return_scores=return_scores,
            draft=draft,
            others=others,
        )
        prompts, is_single, is_text = self.as_rows(prompts, "prompt", request)
        rows, request = self._prompt_rows(prompts, is_text, request, max_new_tokens)
        found = self.write(rows, request, is_text)
        starts = prompts if is_text else rows
        if strip_prompt:
            starts = [start[:0] for start in starts]
        found = with_starts(found, starts)
        return as_they_came(found, request.num_return, is_single)

    def stream(
        self,
        prompt: Any,
        max_new_tokens: int | None = None,
        sampler: str | Sampler | Beam | None = None,
        seed: int | Sequence[int] | None = None,
        stop: str | Sequence[str] | None = None,
        truncate: bool = False,
        draft: Any = None,
        **others,
    ) -> Iterator:
        """Continue one prompt, yielding the text as it comes, never half a character.

        Arguments and errors are those of `generate`. A prompt of token ids yields token ids.
        Joined, the pieces are what `generate(..., strip_prompt=True)` returns.
        """
        request = Request.make(
            self,
            max_new_tokens=usual_length(self.usual_request, max_new_tokens, NEW_TOKENS),
            sampler=sampler,
            seed=seed,
            stop=stop,
            truncate=truncate,
            draft=draft,
            others=others,
            caller="stream",
        )
        prompts, is_single, is_text = self.as_rows(prompt, "prompt", request)
        if not is_single:
            raise ValueError(f"stream continues one prompt at a time; got {len(prompts)}.")
        (row,), request = self._prompt_rows(prompts, is_text, request, max_new_tokens)
        return self.stream_row(row, request, is_text)

    def _prompt_rows(self, prompts, is_text, request, asked):
        """Token ids that are continued: not empty, and with room for what follows."""
        rows = prompts
        if is_text:
            rows = self.begun(self.encode(prompts))
            if not all(rows):
                start = [self.start_of_text("Continuing an empty prompt")]
                rows = [ids or start for ids in rows]
        request = self._shortened(request, rows, asked)
        return self.fitted(rows, request), request

    def begun(self, documents):
        """Token ids of texts, with what the tokenizer's file puts before each text."""
        first_id = self.require_tokenizer().first_id
        return documents if first_id is None else [[first_id, *ids] for ids in documents]

    def fitted(self, rows, request):
        """Rows of prompts with room for what follows, their ends alone if they may be cut."""
        most = context_length(self.backbone)
        room = most - request.max_new_tokens
        longest = max(map(len, rows), default=0)
        if longest > room and (not request.truncate or room < 1):
            raise ValueError(
                f"The prompt's {longest} tokens and max_new_tokens={request.max_new_tokens} must "
                f"fit into the context of {most} tokens. Ask for fewer tokens, or pass "
                "truncate=True to keep only the end of the prompt."
            )
        return [ids[-room:] if len(ids) > room else ids for ids in rows]

    def start_of_text(self, purpose):
        """The id after which a text starts: the tokenizer's, or what ends the one before it."""
        if self.tokenizer is not None and self.tokenizer.first_id is not None:
            return self.tokenizer.first_id
        if self.special_tokens.end is None and self.special_tokens.start is not None:
            return self.special_tokens.start
        return self.special_tokens.require("end", purpose)

    def get_config(self) -> dict:
        config = {name: getattr(self, name) for name in self.arguments}
        return {**super().get_config(), **config}
