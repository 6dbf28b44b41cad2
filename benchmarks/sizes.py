"""The models that are measured, and how much of everything is asked of them."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """The shape of a GPT-2, a BERT with a head for labels, a BART or an LSTM language model."""

    vocab_size: int
    num_layers: int
    hidden_dim: int
    num_heads: int
    context: int
    dropout: float
    family: str = "gpt"
    num_labels: int = 2

    @property
    def num_parameters(self):
        """Of a GPT-2, an encoder-decoder or an LSTM whose head is the table of embeddings."""
        dim = self.hidden_dim
        table, positions, norm = self.vocab_size * dim, self.context * dim, 2 * dim
        attention, feed_forward = 4 * dim**2 + 4 * dim, 8 * dim**2 + 5 * dim
        if self.family == "gpt":
            block = attention + feed_forward + 2 * norm
            return table + positions + self.num_layers * block + norm
        if self.family == "seq2seq":
            blocks = 3 * attention + 2 * feed_forward + 5 * norm
            return table + 2 * positions + self.num_layers * blocks
        if self.family == "lstm":
            return table + self.num_layers * 4 * (2 * dim**2 + dim)
        raise ValueError(f"Nobody has counted the parameters of a {self.family!r} yet.")


@dataclass(frozen=True)
class Workload:
    """What one measurement does, apart from the model."""

    rows: int = 4  # of a training batch
    length: int = 256
    prompt: int = 16
    ragged_prompts: int = 16
    shortest_prompt: int = 8
    longest_prompt: int = 64
    new_tokens: int = 128
    long_context: int = 1024
    long_prompt: int = 200
    memory_length: int = 512
    memory_steps: int = 2  # the second has the optimizer's state from its start
    text_bytes: int = 10_000_000
    texts: int = 256  # for an encoder
    texts_per_batch: int = 32
    pairs: int = 64  # of a training batch of an encoder-decoder
    pair_length: int = 24  # tokens of a source, and of a target
    sources: int = 16
    shortest_source: int = 8
    longest_source: int = 48
    target_tokens: int = 32
    beam_width: int = 4
    lstm_rows: int = 32  # of a training batch
    lstm_length: int = 64
    curve_lengths: tuple = (128, 256, 512, 1024, 2048)
    curve_tokens: tuple = (64, 256, 768)
    lap_seconds: float = 1.2  # a lap of training has as many steps as this takes
    least_laps: int = 3
    least_seconds: float = 2.5
    most_seconds: float = 4.0  # then fewer laps will do


SIZES = {
    "gpt_small": Sizes(8_192, 6, 320, 5, context=512, dropout=0.0),
    "large_vocabulary": Sizes(50_257, 6, 384, 6, context=1024, dropout=0.1),
    "gpt2": Sizes(50_257, 12, 768, 12, context=1024, dropout=0.1),
    "gpt2_medium": Sizes(50_257, 24, 1024, 16, context=1024, dropout=0.1),
    "minilm": Sizes(30_522, 6, 384, 12, context=128, dropout=0.1, family="bert"),
    "seq2seq_small": Sizes(8_192, 3, 256, 4, context=128, dropout=0.1, family="seq2seq"),
    "lstm_small": Sizes(8_192, 2, 256, 1, context=128, dropout=0.0, family="lstm"),
}

QUICK_WORKLOAD = Workload(
    length=16,
    prompt=4,
    ragged_prompts=3,
    shortest_prompt=2,
    longest_prompt=6,
    new_tokens=4,
    long_context=64,
    long_prompt=20,
    memory_length=16,
    text_bytes=200_000,
    texts=12,
    texts_per_batch=4,
    pairs=4,
    pair_length=6,
    sources=3,
    shortest_source=2,
    longest_source=6,
    target_tokens=4,
    lstm_rows=4,
    lstm_length=16,
    curve_lengths=(8, 16),
    curve_tokens=(4, 8, 12),
    lap_seconds=0.0,
    least_laps=2,
    least_seconds=0.0,
)


def choose(name, quick):
    """The sizes of a name and the workload; with `quick` a toy of each."""
    sizes = SIZES[name]
    if not quick:
        return sizes, Workload()
    toy = replace(
        sizes,
        vocab_size=sizes.vocab_size // 16,
        num_layers=2,
        hidden_dim=sizes.hidden_dim // 10 // 2 * 2,
        num_heads=2,
        context=64,
    )
    return toy, QUICK_WORKLOAD
