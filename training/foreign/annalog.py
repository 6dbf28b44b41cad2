"""ANNalog: a Transformer that writes molecules like a given one, both as SMILES.

Dai et al., 2025, https://doi.org/10.26434/chemrxiv-2025-9c1v6. Its tensors are named as in
https://github.com/bentrevett/pytorch-seq2seq, Trevett's tutorial on the Transformer: a table for
each side, a head of its own, and no norms after the stacks.
"""

from zoo.training.foreign import arrays, lookup

from zoo.checkpoints.formats import pickles, torch_files
from zoo.models import Transformer
from zoo.tasks import Seq2SeqLM

CHECKPOINT = "Lev_extended.pt"
VOCABULARY = "stereo_experiment_vocab_ttf.pkl"

NUM_HEADS = 8  # only their code says so: the tensors would be the same for any number
NORM_EPSILON = 1e-5  # PyTorch's

SPECIAL = ("<unk>", "<pad>", "<sos>", "<eos>")
# An atom in brackets, a ring number of two digits, one of the two elements with two letters, or
# any character.
PIECE = r"\[[^\]]*\]|%\d{2}|Br|Cl|[\s\S]"


def attention(theirs, *parts):
    return tuple(f"{theirs}.fc_{part}" for part in parts)


def both(ours, theirs):
    """The kernel and the bias of a projection, or of several that are one of ours."""
    theirs = (theirs,) if isinstance(theirs, str) else theirs
    return {
        f"{ours}/kernel": tuple(f"{name}.weight" for name in theirs),
        f"{ours}/bias": tuple(f"{name}.bias" for name in theirs),
    }


def norm(ours, theirs):
    return {f"{ours}/gamma": f"{theirs}.weight", f"{ours}/beta": f"{theirs}.bias"}


def block(ours, theirs):
    """What the blocks of both sides have."""
    own, inner = f"{theirs}.self_attention", f"{theirs}.positionwise_feedforward"
    return {
        **both(f"{ours}/attention/qkv", attention(own, "q", "k", "v")),
        **both(f"{ours}/attention/output", f"{own}.fc_o"),
        **norm(f"{ours}/attention_norm", f"{theirs}.self_attn_layer_norm"),
        **both(f"{ours}/feed_forward/inner", f"{inner}.fc_1"),
        **both(f"{ours}/feed_forward/outer", f"{inner}.fc_2"),
        **norm(f"{ours}/feed_forward_norm", f"{theirs}.ff_layer_norm"),
    }


CROSS = "decoder.layers.{i}.encoder_attention"

TABLE = {
    "token_embedding/embeddings": "encoder.tok_embedding.weight",
    "target_embedding/embeddings": "decoder.tok_embedding.weight",
    "encoder_positions/embeddings": "encoder.pos_embedding.weight",
    "decoder_positions/embeddings": "decoder.pos_embedding.weight",
    **block("encoder_block_{i}", "encoder.layers.{i}"),
    **block("decoder_block_{i}", "decoder.layers.{i}"),
    **both("decoder_block_{i}/cross_attention/query", attention(CROSS, "q")),
    **both("decoder_block_{i}/cross_attention/key_value", attention(CROSS, "k", "v")),
    **both("decoder_block_{i}/cross_attention/output", attention(CROSS, "o")),
    **norm("decoder_block_{i}/cross_attention_norm", "decoder.layers.{i}.enc_attn_layer_norm"),
    **both("head", "decoder.fc_out"),
}


def read(files):
    """A task from their two files.

    Args:
        files: `{name: bytes}` of the checkpoint and the vocabulary.

    Returns:
        A `zoo.Seq2SeqLM`: SMILES in, SMILES out.

    Raises:
        ValueError: damaged, unsafe, or of another model.
    """
    tensors = torch_files.read_tensors(files[CHECKPOINT], CHECKPOINT)
    tokenizer = make_tokenizer(read_tokens(files[VOCABULARY]))
    arguments = backbone_arguments(tensors)
    model = Seq2SeqLM(Transformer(**arguments), tokenizer, source_start=True)
    arrays.fill(model, tensors, TABLE, CHECKPOINT)
    return model


def backbone_arguments(tensors):
    """The arguments of `Transformer` that the shapes tell."""
    try:
        vocab_size, hidden_dim = tensors["encoder.tok_embedding.weight"].shape
        max_length, _ = tensors["encoder.pos_embedding.weight"].shape
        mlp_dim, _ = tensors["encoder.layers.0.positionwise_feedforward.fc_1.weight"].shape
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{CHECKPOINT} must have the tensors of Trevett's Transformer, such as "
            f"'encoder.tok_embedding.weight'; it differs in {error}."
        ) from None
    layers = {name.split(".")[2] for name in tensors if name.startswith("encoder.layers.")}
    return {
        "vocab_size": vocab_size,
        "num_layers": len(layers),
        "num_heads": NUM_HEADS,
        "hidden_dim": hidden_dim,
        "mlp_dim": mlp_dim,
        "max_length": max_length,
        "position": "learned",
        "norm_epsilon": NORM_EPSILON,
        "tied": False,
    }


def read_tokens(data):
    """The tokens of a vocabulary's pickle, in the order of their ids."""
    contents = pickles.read(data, VOCABULARY)
    tokens = contents.get("itos") if type(contents) is dict else None
    if type(tokens) is not list or not all(type(token) is str for token in tokens):
        raise ValueError(f"{VOCABULARY} must be a dict with a list of texts, 'itos'.")
    if not set(SPECIAL) <= set(tokens) or len(set(tokens)) < len(tokens):
        raise ValueError(
            f"{VOCABULARY} must have the tokens {', '.join(SPECIAL)}, and none of them twice."
        )
    return tokens


def make_tokenizer(tokens):
    return lookup.make_tokenizer(tokens, SPECIAL, PIECE, unknown="<unk>")
