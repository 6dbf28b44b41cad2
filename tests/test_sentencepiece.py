"""SentencePiece models: the same ids as the package's own, and no lie gets through."""

import io
from pathlib import Path

import numpy as np
import pytest

from zoo.checkpoints.formats import sentencepiece
from zoo.tokenizers import Tokenizer

pytestmark = pytest.mark.backend_free

theirs = pytest.importorskip("sentencepiece")

BOOK = Path(__file__).parents[1] / "examples" / "data" / "alice_chapters_11_and_12.txt"
WORDS = (
    *(
        "naïve",
        "ﬁne",
        "Ⅻ",
        "Straße",
        "élève",
        "e\u0301te\u0301",
        "日本語",
        "東京",
        "ｱﾅﾛｸ",
        "①",
        "½",
    ),
    *(
        "Привет",
        "мир",
        "γειά",
        "שלום",
        "مرحبا",
        "हिन्दी",
        "👍🏽",
        "👩‍👩‍👧",
        "x²",
        "…",
        "\u00a0",
        "\u3000",
    ),
    *(
        "<s>",
        "</s>",
        "<unk>",
        "<0x41>",
        "\u2581",
        "▁the",
        "a\tb",
        "don't",
        "3.14159",
        "1,000",
        "😀",
        "ﷺ",
    ),
)


def lines():
    """Real lines, and words of many scripts in a row with spaces of all sorts."""
    rng = np.random.default_rng(0)
    texts = BOOK.read_text(encoding="utf-8").splitlines()
    words = sorted({word for text in texts for word in text.split()})
    spaces = [" ", " ", " ", "  ", "   ", "", "\t", "\u00a0"]
    for _ in range(3000):
        chosen = [
            str(rng.choice(WORDS if rng.random() < 0.3 else words))
            for _ in range(rng.integers(1, 12))
        ]
        texts.append("".join(word + str(rng.choice(spaces)) for word in chosen))
    return [*texts, "", " ", "   ", "\n", " leading", "trailing  ", "\u2581", "a\u2581 "]


LINES = lines()


def train(**how):
    file = io.BytesIO()
    settings = {"vocab_size": 600, "model_type": "unigram", "minloglevel": 2, "num_threads": 1}
    theirs.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES[:4000]), model_writer=file, **(settings | how)
    )
    return file.getvalue()


MODELS = {
    "unigram": {},
    "bpe": {"model_type": "bpe"},
    "llama": {
        "model_type": "bpe",
        "byte_fallback": True,
        "vocab_size": 1000,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "split_digits": True,
        "allow_whitespace_only_pieces": True,
    },
    "gemma": {
        "model_type": "bpe",
        "byte_fallback": True,
        "vocab_size": 1000,
        "add_dummy_prefix": False,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "user_defined_symbols": ["<mask>", "\n\n"],
    },
    "t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "byte_fallback": True},
    "no prefix": {"add_dummy_prefix": False},
    "lowercase": {"normalization_rule_name": "nmt_nfkc_cf", "remove_extra_whitespaces": False},
    "symbols": {"user_defined_symbols": ["<mask>", "<sep>"], "control_symbols": ["[CLS]", "[SEP]"]},
    "pieces over spaces": {"split_by_whitespace": False},
}


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    """A model's bytes, the package's processor of it, and our tokenizer."""
    data = train(**MODELS[request.param])
    model = sentencepiece.parse(data, "m.model")
    tokenizer = Tokenizer.from_json(sentencepiece.to_json(model))
    return data, theirs.SentencePieceProcessor(model_proto=data), tokenizer


def test_ids_are_those_of_sentencepiece(pair):
    _, processor, tokenizer = pair
    different = [
        (line, expected, ids)
        for line, expected, ids in zip(
            LINES, processor.encode(LINES), tokenizer.encode(LINES), strict=True
        )
        if expected != ids
    ]
    assert not different, (len(different), different[:3])
    assert tokenizer.vocab_size == processor.vocab_size()


def test_text_comes_back_as_from_sentencepiece(pair):
    _, processor, tokenizer = pair
    unknown = processor.unk_id()
    rows = [ids for ids in processor.encode(LINES) if unknown not in ids]
    assert len(rows) > 1000
    # Where there is no dummy prefix, SentencePiece takes a space of the text itself away.
    expected = [text.lstrip(" ") for text in processor.decode(rows)]
    assert [text.lstrip(" ") for text in tokenizer.decode(rows)] == expected


def test_special_tokens_have_their_roles(pair):
    data, processor, tokenizer = pair
    roles = sentencepiece.parse(data, "m.model").roles
    ids = {"start": processor.bos_id(), "stop": processor.eos_id(), "padding": processor.pad_id()}
    assert roles == {
        "unknown": processor.unk_id(),
        **{role: i for role, i in ids.items() if i >= 0},
    }
    for i in roles.values():
        assert tokenizer.special_ids[processor.id_to_piece(i)] == i
        assert i not in tokenizer.encode(processor.id_to_piece(i)) or i == roles["unknown"]


@pytest.mark.parametrize("name", ["gemma", "symbols"])
def test_symbols_of_the_user_stand_for_themselves(name):
    data = train(**MODELS[name])
    tokenizer = Tokenizer.from_json(sentencepiece.to_json(sentencepiece.parse(data, "m.model")))
    processor = theirs.SentencePieceProcessor(model_proto=data)
    symbol = processor.piece_to_id("<mask>")
    for text in ("a <mask> b", "the <mask>", "the<mask><mask>of the", "<mask>", "x <mask>, y"):
        assert symbol in tokenizer.encode(text)
        assert tokenizer.encode(text) == processor.encode(text)
