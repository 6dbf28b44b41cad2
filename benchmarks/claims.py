"""What is claimed: rows of ours beside a peer, each with a target; and the curves."""

from dataclasses import dataclass

BACKENDS = ("jax", "tensorflow", "torch")  # in this order ours on torch runs next to its peers
LIBRARIES = {
    "zoo": "zoo",
    "keras_hub": "KerasHub",
    "transformers": "transformers",
    "transformers_static": "transformers, static cache, compiled",
    "plain_torch": "plain PyTorch, compiled",
    "keras": "Keras layers",
    "plain_lstm": "torch.nn.LSTM",
    "weights": "the files' own bytes",
    "ctranslate2": "CTranslate2",
    "ctranslate2_int8": "CTranslate2, int8",
    "zoo_bfloat16": "zoo, bfloat16",
    "zoo_int8": "zoo, int8",
    "zoo_int4": "zoo, int4",
}


@dataclass(frozen=True)
class Series:
    """One measurement, taken once a round."""

    library: str
    backend: str
    sizes: str
    measure: str


@dataclass(frozen=True)
class Row:
    """A comparison of two series, or of the best of several on each side."""

    claim: str
    backend: str
    against: str
    metric: str
    ours: tuple[Series, ...]
    peers: tuple[Series, ...]
    at_least: float | None = None  # of ours / peer
    at_most: float | None = None

    @property
    def id(self):
        """What `explanations.toml` calls it."""
        return "-".join((self.claim, self.backend, self.against))

    @property
    def series(self):
        return (*self.ours, *self.peers)

    @property
    def target(self):
        return f">= {self.at_least:g}" if self.at_most is None else f"<= {self.at_most:g}"

    def is_met_by(self, ratio):
        return ratio >= self.at_least if self.at_most is None else ratio <= self.at_most


def _rows(claim, metric, sizes, measure, targets, sign="at_least"):
    """A row for each `(backend, peer): target`."""
    return [
        Row(
            claim,
            backend,
            peer,
            metric,
            (Series("zoo", backend, sizes, measure),),
            (Series(peer, backend, sizes, measure),),
            **{sign: target},
        )
        for (backend, peer), target in targets.items()
    ]


_OF_TRAINING = {
    ("jax", "keras_hub"): 2.0,
    ("tensorflow", "keras_hub"): 1.2,
    ("torch", "keras_hub"): 1.5,
    ("torch", "transformers"): 1.1,
}


def _training(claim, sizes):
    targets = _OF_TRAINING | {("torch", "plain_torch"): 0.95}
    ours = tuple(Series("zoo", backend, sizes, "train") for backend in BACKENDS)
    peers = tuple(Series(p, "torch", sizes, "train") for p in ("transformers", "plain_torch"))
    best = Row(claim, "best", "best", "tokens_per_second", ours, peers, at_least=1.0)
    return [*_rows(claim, "tokens_per_second", sizes, "train", targets), best]


def _generating(claim, sizes):
    targets = {
        ("jax", "keras_hub"): 1.5,
        ("tensorflow", "keras_hub"): 2.0,
        ("torch", "keras_hub"): 6.0,
        ("torch", "transformers"): 3.0,
        ("torch", "transformers_static"): 1.0,
    }
    return _rows(claim, "tokens_per_second", sizes, "generate_one", targets)


def _on_every_backend(target, peer="keras_hub"):
    return {(backend, peer): target for backend in BACKENDS}


def _on_texts(claim):
    targets = _on_every_backend(1.3) | {("torch", "transformers"): 1.0}
    return _rows(claim, "texts_per_second", "minilm", claim, targets)


def _everywhere(target):
    return _on_every_backend(target) | {("torch", "transformers"): target}


def _on_pairs(claim, measure, targets):
    return _rows(claim, "tokens_per_second", "seq2seq_small", measure, targets)


def _decoding(claim, sizes, measure):
    """Float against CTranslate2's float, int8 on PyTorch against its int8 and our float."""

    def series(library, backend="torch"):
        return Series(library, backend, sizes, measure)

    def row(backend, against, ours, peers, target):
        metric = "tokens_per_second"
        return Row(claim, backend, against, metric, ours, peers, at_least=target)

    floats = {backend: (series("zoo", backend),) for backend in BACKENDS}
    theirs, whole = (series("ctranslate2"),), (series("zoo_int8"),)
    return [
        *(row(backend, "ctranslate2", ours, theirs, 0.7) for backend, ours in floats.items()),
        row("best", "ctranslate2", sum(floats.values(), ()), theirs, 1.0),
        row("torch-int8", "ctranslate2_int8", whole, (series("ctranslate2_int8"),), 0.5),
        row("torch-int8", "zoo", whole, floats["torch"], 3.0),
        row("torch-bfloat16", "zoo", (series("zoo_bfloat16"),), floats["torch"], 1.3),
        row("torch-int4", "zoo", (series("zoo_int4"),), floats["torch"], 1.0),
    ]


def _tokenising(peer, target):
    ours = Series("zoo", "torch", "gpt_small", "tokenise")  # which backend makes no difference
    metric = "megabytes_per_second"
    return Row("tokenise", "any", peer.library, metric, (ours,), (peer,), at_least=target)


CLAIMS = {
    "train-large": _training("train-large", "large_vocabulary"),
    "generate-1-large": _generating("generate-1-large", "large_vocabulary"),
    "train-small": _training("train-small", "gpt_small"),
    "generate-1": _generating("generate-1", "gpt_small"),
    "generate-16": _rows(
        "generate-16",
        "tokens_per_second",
        "gpt_small",
        "generate_many",
        _on_every_backend(2.0) | {("torch", "transformers"): 1.5},
    ),
    "first-token": _rows(
        "first-token", "seconds", "gpt_small", "first_token", _everywhere(0.5), "at_most"
    ),
    "first-fit": _rows(
        "first-fit", "first_call_seconds", "gpt_small", "train", _on_every_backend(1.0), "at_most"
    ),
    "first-generate": _rows(
        "first-generate",
        "first_call_seconds",
        "gpt_small",
        "generate_one",
        _on_every_backend(1.0),
        "at_most",
    ),
    "load-seconds": _rows("load-seconds", "seconds", "gpt2", "load", _everywhere(0.7), "at_most"),
    "load-memory": _rows("load-memory", "bytes", "gpt2", "load", _everywhere(0.7), "at_most"),
    "checkpoint-seconds": _rows(
        "checkpoint-seconds",
        "seconds",
        "gpt2",
        "load_checkpoint",
        {("torch", "transformers"): 0.8},
        "at_most",
    ),
    "checkpoint-memory": _rows(
        "checkpoint-memory",
        "bytes",
        "gpt2",
        "load_checkpoint",
        _on_every_backend(1.25, "weights"),
        "at_most",
    ),
    "train-memory": _rows(
        "train-memory", "bytes", "gpt2", "train_memory", _everywhere(0.6), "at_most"
    ),
    "tokenise": [
        _tokenising(Series("keras_hub", "tensorflow", "gpt_small", "tokenise"), 8.0),
        _tokenising(Series("transformers", "torch", "gpt_small", "tokenise"), 1.0),
    ],
    "finetune": _on_texts("finetune"),
    "embed": _on_texts("embed"),
    "seq2seq-train": _on_pairs("seq2seq-train", "train_pairs", _OF_TRAINING),
    "seq2seq-translate": _on_pairs(
        "seq2seq-translate",
        "translate",
        _on_every_backend(2.0) | {("torch", "transformers"): 1.5},
    ),
    "seq2seq-beam": _on_pairs("seq2seq-beam", "translate_beam", _everywhere(1.0)),
    "decode-1": _decoding("decode-1", "gpt_small", "generate_one"),
    "decode-16": _decoding("decode-16", "gpt_small", "generate_many"),
    "decode-1-large": _decoding("decode-1-large", "gpt2", "generate_one"),
    "translate": _decoding("translate", "seq2seq_small", "translate"),
    "beam": _decoding("beam", "seq2seq_small", "translate_beam"),
    "lstm-train": _rows(
        "lstm-train",
        "tokens_per_second",
        "lstm_small",
        "train_lstm",
        _on_every_backend(1.0, "keras") | {("torch", "plain_lstm"): 0.9},
    ),
}

# The others get as many rounds as are asked for and as there is time for.
MOST_ROUNDS = {"generate-16": 1, "first-token": 1}

# Left out unless named by `--only`: half an hour does not hold them too.
ON_REQUEST = (
    "generate-1-large",
    "checkpoint-seconds",
    "checkpoint-memory",
    "finetune",
    "embed",
    "seq2seq-train",
    "seq2seq-translate",
    "seq2seq-beam",
    "decode-1",
    "decode-16",
    "decode-1-large",
    "translate",
    "beam",
    "lstm-train",
)

# TensorFlow would take another two minutes to compile.
_CURVE_BACKENDS = ("jax", "torch")
_KERAS = tuple((name, backend) for name in ("zoo", "keras_hub") for backend in _CURVE_BACKENDS)

CURVES = {
    "train-curve": [Series(*who, "gpt_small", "train_curve") for who in _KERAS],
    "decode-curve": [
        Series(library, "torch", "gpt_small", "decode_curve")
        for library in ("zoo", "keras_hub", "transformers")
    ],
    "load-curve": [
        Series(library, "torch", sizes, "load")
        for sizes in ("gpt_small", "large_vocabulary", "gpt2", "gpt2_medium")
        for library in ("zoo", "keras_hub", "transformers")
    ],
}

# Memory hardly varies, and curves are no claims.
ONLY_ONCE = ("train-memory", *CURVES)
