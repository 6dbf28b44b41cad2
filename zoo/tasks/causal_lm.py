"""Causal language models: trained to predict the next token, used to continue a text."""

import keras
import numpy as np
from keras import ops

from zoo.arguments import LENGTH, Boolean
from zoo.backends import backend
from zoo.data.checks import check_labels, check_token_ids, is_array, is_text
from zoo.generation import Decoder, Request, generate, stream
from zoo.layers import token_nats
from zoo.models.base import token_inputs
from zoo.objectives import PackedCausalLM, next_token_rows, pad
from zoo.tasks.language_model import LanguageModel
from zoo.tasks.stateful import StatefulRuns

SCORE_BATCH = 8


@keras.saving.register_keras_serializable("zoo")
class CausalLM(StatefulRuns, LanguageModel):
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
    arguments = LanguageModel.arguments | {"sequence_length": LENGTH, "stateful": Boolean()}

    def __init__(self, backbone, tokenizer=None, sequence_length=None, stateful=False, **kwargs):
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
        self.start_carrying()
        self.decoder = Decoder(self)
        self._score = backend.compile_function(self, self._row_nats)
        if sequence_length is not None and not 1 <= sequence_length <= backbone.max_length:
            raise ValueError(
                f"sequence_length must be between 1 and the backbone's max_length of "
                f"{backbone.max_length}; got {sequence_length}."
            )

    def prepare(self, x, y=None, sample_weight=None, training=True):
        if is_text(x):
            self.require_tokenizer()
            length = self.sequence_length or self.backbone.max_length
            objective = PackedCausalLM(length, self.tokenizer.end_id, drop_remainder=training)
            return objective(self.encode(x))
        if y is None and (is_array(x) or isinstance(x, dict)):
            inputs = x if isinstance(x, dict) else {"token_ids": x}
            mask = inputs.get("padding_mask")
            x, y, shifted_weight = next_token_rows(inputs["token_ids"], mask)
            if mask is not None:
                x = {"token_ids": x, "padding_mask": np.asarray(mask, "bool")[:, :-1]}
            sample_weight = shifted_weight if sample_weight is None else sample_weight
        check_token_ids(x, self.backbone)
        check_labels(x, y, sample_weight, self.backbone)
        return x, y, sample_weight

    def prepare_inputs(self, x):
        if not is_text(x):
            check_token_ids(x, self.backbone)
            return x
        token_ids, padding_mask = pad(self.encode(x))
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        check_token_ids(inputs, self.backbone)
        return inputs

    def generate(
        self,
        prompts,
        max_new_tokens=64,
        sampler="greedy",
        seed=None,
        stop=(),
        num_return=1,
        truncate=False,
        strip_prompt=False,
    ):
        """Continue prompts.

        The end-of-text token ends a continuation and is left out of it. An empty string stands
        for the start of a text.

        Args:
            prompts: a string or a list of strings; or a list of token ids or a list of such
                lists. A batch gives what its prompts would give one by one.
            max_new_tokens: int.
            sampler: `"greedy"`, `"temperature"`, or a `zoo.generation` sampler or `Beam`.
            seed: int: prompt i draws with `seed + i`; or a list with an int for each prompt.
                The same seed gives the same text. None draws a new one.
            stop: a string or several; the text ends before the first that appears.
            num_return: int, continuations for each prompt: different draws, or a beam's best.
            truncate: bool, whether to keep only the end of a prompt that is too long.
            strip_prompt: bool, whether to return the continuation alone.

        Returns:
            The prompt with its continuation, of the kind that came in: a string for a string, a
            list for a list; for `num_return > 1` a list in each one's place.

        Raises:
            ValueError: if a prompt does not fit into the context, an id is outside the
                vocabulary, or an argument is out of range.
            TypeError: if a prompt is neither text nor token ids.
        """
        request = Request.make(max_new_tokens, sampler, seed, stop, truncate)
        return generate(self, prompts, request, num_return, strip_prompt)

    def stream(
        self, prompt, max_new_tokens=64, sampler="greedy", seed=None, stop=(), truncate=False
    ):
        """Continue one prompt, yielding the text as it comes, never half a character.

        Arguments and errors are those of `generate`. A prompt of token ids yields token ids.
        Joined, the pieces are what `generate(..., strip_prompt=True)` returns.
        """
        return stream(self, prompt, Request.make(max_new_tokens, sampler, seed, stop, truncate))

    def score(self, texts):
        """How likely the model finds texts, each from its first token on.

        Args:
            texts: a list of strings.

        Returns:
            `(nats, num_tokens)`: float32 and int32 arrays `(len(texts),)`. `nats` is the sum of
            `-log p` over a text's tokens, the first predicted from the start of a text.

        Raises:
            ValueError: if a text does not fit into the context.
        """
        end_id = self.require_tokenizer().end_id
        rows = [[end_id, *ids] for ids in self.encode(texts)]
        token_ids, padding_mask = pad(rows)
        check_token_ids(token_ids[:, :-1], self.backbone)
        nats = [np.zeros(0, "float32")]
        for i in range(0, len(rows), SCORE_BATCH):
            ids = ops.convert_to_tensor(token_ids[i : i + SCORE_BATCH])
            mask = ops.convert_to_tensor(padding_mask[i : i + SCORE_BATCH])
            nats.append(ops.convert_to_numpy(self._score(ids, mask)))
        return np.concatenate(nats), padding_mask[:, 1:].sum(axis=1).astype("int32")

    def _row_nats(self, token_ids, padding_mask):
        logits = self(token_ids[:, :-1], training=False)
        nats = token_nats(token_ids[:, 1:], logits)
        return ops.sum(ops.where(padding_mask[:, 1:], nats, 0.0), axis=1)

    def get_config(self):
        config = {"sequence_length": self.sequence_length, "stateful": self.stateful}
        return {**super().get_config(), **config}
