"""How many numbers a backbone holds, from its arguments alone: known before anything is made."""

from zoo.models.transformer import RELATIVE_BUCKETS


def count_parameters(config):
    """The parameters of the backbone of a checked config."""
    return PARAMETERS[config["family"]](**config["backbone"])


def gpt_parameters(vocab_size, num_layers, hidden_dim, mlp_dim=None, max_length=1024, **_):
    mlp_dim = mlp_dim or 4 * hidden_dim
    attention = 4 * hidden_dim * (hidden_dim + 1)
    feed_forward = 2 * hidden_dim * mlp_dim + mlp_dim + hidden_dim
    norm = 2 * hidden_dim
    embeddings = (vocab_size + max_length) * hidden_dim
    return embeddings + num_layers * (attention + feed_forward + 2 * norm) + norm


def bert_parameters(
    vocab_size, num_layers, hidden_dim, mlp_dim=None, max_length=512, num_segments=2, **_
):
    blocks = gpt_parameters(0, num_layers, hidden_dim, mlp_dim, 0)  # the last norm: that below
    return blocks + (vocab_size + max_length + num_segments) * hidden_dim


def segmentless_parameters(vocab_size, num_layers=6, hidden_dim=768, **arguments):
    return bert_parameters(vocab_size, num_layers, hidden_dim, num_segments=0, **arguments)


def transformer_parameters(
    vocab_size,
    num_layers,
    num_heads,
    hidden_dim,
    mlp_dim=None,
    max_length=512,
    position="sinusoidal",
    pre_norm=False,
    tied=True,
    **_,
):
    encoder = gpt_parameters(0, num_layers, hidden_dim, mlp_dim, 0)
    cross_attention = 4 * hidden_dim * (hidden_dim + 1) + 2 * hidden_dim
    count = vocab_size * hidden_dim + 2 * encoder + num_layers * cross_attention
    if not tied:  # another table, and a head
        count += 2 * vocab_size * hidden_dim + vocab_size
    if not pre_norm:  # no norm at the end of a stack
        count -= 2 * 2 * hidden_dim
    if position == "learned":
        count += 2 * max_length * hidden_dim
    if position == "relative":
        count += 2 * RELATIVE_BUCKETS * num_heads
    return count


def lstm_parameters(vocab_size, num_layers, hidden_dim, inner_dim=None, bidirectional=False, **_):
    widths = [inner_dim or hidden_dim] * (num_layers - 1) + [hidden_dim]
    count, below = vocab_size * hidden_dim, hidden_dim
    for width in widths:
        units = width // 2 if bidirectional else width
        count += 4 * width * (below + units + 1)
        below = width
    return count


def lstm_seq2seq_parameters(
    vocab_size, num_layers, hidden_dim, attention="luong", bidirectional=True, **_
):
    encoder = lstm_parameters(vocab_size, num_layers, hidden_dim, None, bidirectional)
    decoder = num_layers * 4 * hidden_dim * (2 * hidden_dim + 1)
    square = hidden_dim * hidden_dim
    count = encoder + decoder + square + hidden_dim  # of the readout, what reads the top layer
    if bidirectional:
        count += 2 * num_layers * hidden_dim * (hidden_dim // 2 + 1)
    if attention is not None:
        count += 2 * square  # the keys, and of the readout, what reads what was seen
    if attention == "bahdanau":
        count += 5 * square + 2 * hidden_dim  # the query, the score, and a wider first layer
    return count


PARAMETERS = {
    "gpt": gpt_parameters,
    "bert": bert_parameters,
    "roberta": segmentless_parameters,
    "distilbert": segmentless_parameters,
    "transformer": transformer_parameters,
    "lstm": lstm_parameters,
    "lstm_seq2seq": lstm_seq2seq_parameters,
}
