"""SentencePiece models in the orders of T5, XLM-R, mBART and Marian: ids of transformers."""

import io
import json
import re

import pytest

from tests.test_sentencepiece import LINES, theirs, train
from zoo.checkpoints.formats import sentencepiece as spm
from zoo.tokenizers import Tokenizer

pytestmark = [
    pytest.mark.backend_free,
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
]

transformers = pytest.importorskip("transformers")

# Names of special tokens in a text are text here, and tokens there.
PLAIN = [line for line in LINES if not re.search(r"<(unk|/?s|pad|mask)>", line)]
# transformers 5 leaves out mBART's normalisation, and counts a space at the end.
NORMALISED = [" ".join(filter(str.isascii, line.split())) for line in PLAIN]


def assert_same_ids(theirs, ours, lines):
    expected = theirs(lines, add_special_tokens=False)["input_ids"]
    different = [
        (line, one, other)
        for line, one, other in zip(lines, expected, ours.encode(lines), strict=True)
        if list(one) != list(other)
    ]
    assert len(lines) > 1000
    assert not different, (len(different), different[:3])


def our_tokenizer(model):
    return Tokenizer.from_json(spm.to_json(model))


def test_t5_has_sentinels_after_the_pieces(tmp_path):
    data = train(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    (tmp_path / "spiece.model").write_bytes(data)
    reference = transformers.T5Tokenizer.from_pretrained(tmp_path)
    tokenizer = our_tokenizer(spm.with_extra_ids(spm.parse(data, "m")))
    assert_same_ids(reference, tokenizer, PLAIN)
    text = "The <extra_id_0> sat on <extra_id_99>."
    ids = reference(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.encode(text, allow_special=True) == ids
    assert not {600, 699} & set(tokenizer.encode(text))
    assert tokenizer.special_ids["<extra_id_99>"] == 600 == tokenizer.vocab_size - 100


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("XLMRobertaTokenizer", ()),
        ("MBartTokenizer", spm.LANGUAGES),
        ("MBart50Tokenizer", spm.LANGUAGES + spm.MORE_LANGUAGES),
    ],
)
def test_fairseq_has_an_order_of_its_own(tmp_path, name, languages):
    data = train()
    (tmp_path / "sentencepiece.bpe.model").write_bytes(data)
    reference = getattr(transformers, name).from_pretrained(tmp_path)
    tokenizer = our_tokenizer(spm.in_fairseq_order(spm.parse(data, "m"), languages))
    lines = PLAIN if name == "XLMRobertaTokenizer" else NORMALISED
    assert_same_ids(reference, tokenizer, lines)
    assert tokenizer.vocab_size == len(reference)
    for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>", *languages):
        assert tokenizer.special_ids[token] == reference.convert_tokens_to_ids(token)
    # SentencePiece's own ids are one lower, but for the unknown piece's.
    processor = theirs.SentencePieceProcessor(model_proto=data)
    shifted = [[i + 1 if i else 3 for i in row] for row in processor.encode(LINES)]
    assert tokenizer.encode(LINES) == shifted


def test_marian_has_two_models_over_one_vocabulary(tmp_path):
    def data_of(lines):
        file = io.BytesIO()
        theirs.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=file,
            vocab_size=400,
            character_coverage=0.98,  # so that each knows characters that the other does not
            minloglevel=2,
            num_threads=1,
        )
        return file.getvalue()

    files = {"source": data_of(LINES[:2000]), "target": data_of(LINES[2000:4000])}
    models = {side: spm.parse(data, side) for side, data in files.items()}
    pieces = {piece.text for model in models.values() for piece in model.pieces[3:]}
    tokens = ["</s>", "<unk>", *sorted(pieces), ">>fra<<", "<pad>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    for side, data in files.items():
        (tmp_path / f"{side}.spm").write_bytes(data)
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    reference = transformers.MarianTokenizer.from_pretrained(tmp_path)
    source, target = (
        our_tokenizer(spm.on_vocabulary(model, vocabulary)) for model in models.values()
    )
    assert_same_ids(reference, source, [*PLAIN, ">>fra<< Hello", ">>fra<<"])
    assert_same_ids(lambda x, **kw: reference(text_target=x, **kw), target, PLAIN)
    for rows in (source.encode(PLAIN), target.encode(PLAIN)):
        texts = [reference.decode(row, skip_special_tokens=True) for row in rows]
        assert [text.strip() for text in source.decode(rows)] == texts
        assert [text.strip() for text in target.decode(rows)] == texts
    assert source.special_ids == {"</s>": 0, "<unk>": 1, "<pad>": len(tokens) - 1}


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda model: spm.on_vocabulary(model, {"a": 0}), "ids 0, 1, 2 and so on"),
        (lambda model: spm.on_vocabulary(model, {"a": 0, "<unk>": 2}), "ids 0, 1, 2 and so on"),
        (
            lambda model: spm.in_fairseq_order(model._replace(pieces=model.pieces[1:])),
            "begin with the pieces <unk>, <s> and </s>; got",
        ),
    ],
)
def test_other_orders_are_refused(order, message):
    with pytest.raises(ValueError, match=message):
        order(spm.parse(train(), "m"))
