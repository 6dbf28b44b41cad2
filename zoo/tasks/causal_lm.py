"""Causal language models: trained to predict the next token, used to continue a text."""

import keras

from zoo.models.base import token_inputs
from zoo.objectives import PackedCausalLM, next_token_rows
from zoo.tasks.base import is_text
from zoo.tasks.language_model import LanguageModel


@keras.saving.register_keras_serializable("zoo")
class CausalLM(LanguageModel):
    """A backbone and its tied head: token ids to logits of the next token.

    Args:
        backbone: a causal backbone such as `zoo.models.GPT`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        sequence_length: int, tokens in a training row; None for the backbone's `max_length`.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict of `token_ids` and `padding_mask`.

    Returns:
        Logits `(batch, length, vocab_size)`.
    """

    def __init__(self, backbone, tokenizer=None, sequence_length=None, **kwargs):
        inputs = token_inputs()
        outputs = backbone.logits(backbone(inputs))
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.sequence_length = sequence_length or backbone.max_length

    def prepare(self, x, y=None, sample_weight=None, training=True):
        if is_text(x):
            objective = PackedCausalLM(
                self.sequence_length, self.tokenizer.end_id, drop_remainder=training
            )
            return objective(self.encode([x] if isinstance(x, str) else x))
        return x, y, sample_weight
