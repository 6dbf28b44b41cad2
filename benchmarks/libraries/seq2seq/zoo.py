"""This library's Transformer, made as BART is where they differ and it can be.

Learned positions, GELU, BART's epsilon, attention probabilities dropped too and no label smoothing.
"""

import keras
import numpy as np

import zoo
from benchmarks import inputs


class Model:
    """A `zoo.Seq2SeqLM` on token ids."""

    def __init__(self, model):
        self.model = model
        self.num_parameters = model.count_params()

    def fit(self, sources, targets, labels, rows):
        x = {"token_ids": sources, "decoder_token_ids": targets}
        return self.model.fit(x, labels, batch_size=rows, verbose=0).history["loss"][0]

    def translate(self, sources, new_tokens, width=1):
        return self.model.generate(
            [source[:-1] for source in sources],  # it puts the end token there itself
            max_new_tokens=new_tokens,
            sampler="greedy" if width == 1 else zoo.generation.Beam(width),
        )

    def logits(self, sources, targets):
        token_ids, padding_mask = inputs.pad(sources)
        x = {"token_ids": token_ids, "padding_mask": padding_mask, "decoder_token_ids": targets}
        return keras.ops.convert_to_numpy(self.model(x))


def build(sizes):
    backbone = zoo.models.Transformer(
        vocab_size=sizes.vocab_size,
        num_layers=sizes.num_layers,
        num_heads=sizes.num_heads,
        hidden_dim=sizes.hidden_dim,
        max_length=sizes.context,
        position="learned",
        dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
        norm_epsilon=1e-5,
    )
    for block in (*backbone.encoder_blocks, *backbone.decoder_blocks):
        block.feed_forward.activation = keras.activations.gelu
    _rule_out_end_token(backbone.token_embedding)
    pieces = inputs.word_pieces(sizes.vocab_size)
    tokenizer = zoo.tokenizers.WordPieceTokenizer.from_vocab(pieces)
    model = zoo.Seq2SeqLM(backbone, tokenizer, label_smoothing=0.0)
    model.compile(optimizer=keras.optimizers.AdamW(3e-4, weight_decay=0.1, global_clipnorm=1.0))
    return Model(model)


def _rule_out_end_token(embedding):
    """Its logit is 0, so that of thousands of random ones some are larger, and no target ends."""
    table = np.array(keras.ops.convert_to_numpy(embedding.embeddings))
    table[inputs.END] = 0
    embedding.embeddings.assign(table)
