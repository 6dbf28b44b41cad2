"""GPT-NeoX as transformers writes it: Pythia, too."""

import numpy as np

from zoo.checkpoints import rotary
from zoo.checkpoints.tables import (
    ACTIVATIONS,
    DECODER_CLASSIFIER,
    DECODER_ROLES,
    SCORE,
    Family,
    Joined,
    Key,
)


class ByHeads(Joined):
    """Queries, keys and values of one head after the other; ours are all queries first.

    Kernels of theirs are `(out, in)`.
    """

    def their_shapes(self, shape, arguments):
        return [shape[::-1]]

    def to_ours(self, arrays, arguments):
        (array,) = arrays
        return regrouped(array, arguments["num_heads"], 3).T

    def to_theirs(self, array, arguments):
        return [regrouped(array.T, 3, arguments["num_heads"])]


def regrouped(array, outer, inner):
    """Rows in `outer` groups of `inner` parts, to as many parts of groups."""
    parts = array.reshape(outer, inner, -1, *array.shape[1:])
    return np.swapaxes(parts, 0, 1).reshape(array.shape)


GPT_NEOX = Family(
    name="gpt_neox",
    family="gpt_neox",
    prefix="gpt_neox.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "hidden_dim": "hidden_size",
        "mlp_dim": "intermediate_size",
        "max_length": "max_position_embeddings",
        "parallel": Key("use_parallel_residual", True),
        "activation": Key("hidden_act", "gelu", values=ACTIVATIONS),
        "attention_bias": Key("attention_bias", True),
        "tied": Key("tie_word_embeddings", False),
        ("rotary_base", "rotary_scaling", "rotary_dim"): rotary.PartialRotary(),
        "dropout": Key("hidden_dropout", 0.0),
        "attention_dropout": Key("attention_dropout", is_read=False),
        "norm_epsilon": Key("layer_norm_eps", 1e-5),
    },
    architectures={
        "GPTNeoXForCausalLM": "causal_lm",
        "GPTNeoXModel": "causal_lm",
        "GPTNeoXForSequenceClassification": "text_classification",
    },
    task_constants={"text_classification": DECODER_CLASSIFIER},
    bare="GPTNeoXModel",
    roles=DECODER_ROLES,
    body={
        "token_embedding/embeddings": "embed_in.weight",
        "block_{i}/attention_norm/gamma": "layers.{i}.input_layernorm.weight",
        "block_{i}/attention_norm/beta": "layers.{i}.input_layernorm.bias",
        "block_{i}/attention/qkv/kernel": ByHeads("layers.{i}.attention.query_key_value.weight"),
        "block_{i}/attention/qkv/bias": ByHeads("layers.{i}.attention.query_key_value.bias"),
        "block_{i}/attention/output/kernel": "layers.{i}.attention.dense.weight",
        "block_{i}/attention/output/bias": "layers.{i}.attention.dense.bias",
        "block_{i}/feed_forward_norm/gamma": "layers.{i}.post_attention_layernorm.weight",
        "block_{i}/feed_forward_norm/beta": "layers.{i}.post_attention_layernorm.bias",
        "block_{i}/feed_forward/inner/kernel": "layers.{i}.mlp.dense_h_to_4h.weight",
        "block_{i}/feed_forward/inner/bias": "layers.{i}.mlp.dense_h_to_4h.bias",
        "block_{i}/feed_forward/outer/kernel": "layers.{i}.mlp.dense_4h_to_h.weight",
        "block_{i}/feed_forward/outer/bias": "layers.{i}.mlp.dense_4h_to_h.bias",
        "norm/gamma": "final_layer_norm.weight",
        "norm/beta": "final_layer_norm.bias",
    },
    heads_of={"causal_lm": {"head/kernel": "embed_out.weight"}, "text_classification": SCORE},
    tied={"embed_out.weight": "embed_in.weight"},
    unused=(  # masks and frequencies
        "layers.{i}.attention.bias",
        "layers.{i}.attention.masked_bias",
        "layers.{i}.attention.rotary_emb.inv_freq",
    ),
    optional=("head/kernel", "block_{i}/attention/qkv/bias", "block_{i}/attention/output/bias"),
)
