"""GPT-2 as transformers writes it: DistilGPT-2 and DialoGPT, too."""

from zoo.checkpoints.tables import (
    ACTIVATIONS,
    DECODER_CLASSIFIER,
    DECODER_ROLES,
    SCORE,
    Family,
    Joined,
    Key,
)

# Its kernels are `(in, out)`, as ours are.
GPT2 = Family(
    name="gpt2",
    family="gpt",
    prefix="transformer.",
    arguments={
        "vocab_size": "vocab_size",
        "num_layers": "n_layer",
        "num_heads": "n_head",
        "hidden_dim": "n_embd",
        "mlp_dim": Key("n_inner", None),
        "max_length": "n_positions",
        "activation": Key("activation_function", "gelu_tanh", values=ACTIVATIONS),
        "scale_by_layer": Key("scale_attn_by_inverse_layer_idx", False),
        "tied": Key("tie_word_embeddings", True),
        "norm_epsilon": Key("layer_norm_epsilon", 1e-5),
        "dropout": Key("resid_pdrop", 0.1, copies=("embd_pdrop",)),
        "attention_dropout": Key("attn_pdrop", is_read=False),
    },
    fixed={"scale_attn_weights": True, "add_cross_attention": False},
    architectures={
        "GPT2LMHeadModel": "causal_lm",
        "GPT2Model": "causal_lm",
        "GPT2ForSequenceClassification": "text_classification",
    },
    task_constants={"text_classification": DECODER_CLASSIFIER},
    bare="GPT2Model",
    roles=DECODER_ROLES,
    body={
        "token_embedding/embeddings": "wte.weight",
        "position_embedding/embeddings": "wpe.weight",
        "block_{i}/attention_norm/gamma": "h.{i}.ln_1.weight",
        "block_{i}/attention_norm/beta": "h.{i}.ln_1.bias",
        "block_{i}/attention/qkv/kernel": Joined("h.{i}.attn.c_attn.weight"),
        "block_{i}/attention/qkv/bias": "h.{i}.attn.c_attn.bias",
        "block_{i}/attention/output/kernel": Joined("h.{i}.attn.c_proj.weight"),
        "block_{i}/attention/output/bias": "h.{i}.attn.c_proj.bias",
        "block_{i}/feed_forward_norm/gamma": "h.{i}.ln_2.weight",
        "block_{i}/feed_forward_norm/beta": "h.{i}.ln_2.bias",
        "block_{i}/feed_forward/inner/kernel": Joined("h.{i}.mlp.c_fc.weight"),
        "block_{i}/feed_forward/inner/bias": "h.{i}.mlp.c_fc.bias",
        "block_{i}/feed_forward/outer/kernel": Joined("h.{i}.mlp.c_proj.weight"),
        "block_{i}/feed_forward/outer/bias": "h.{i}.mlp.c_proj.bias",
        "norm/gamma": "ln_f.weight",
        "norm/beta": "ln_f.bias",
    },
    heads_of={"causal_lm": {"head/kernel": "lm_head.weight"}, "text_classification": SCORE},
    optional=("head/kernel",),
    tied={"lm_head.weight": "wte.weight"},
    unused=("h.{i}.attn.bias", "h.{i}.attn.masked_bias"),  # causal masks
)
