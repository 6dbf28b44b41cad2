"""WordPiece as a TensorFlow graph against the library: same ids, same offsets, for any text."""

import functools
import json
import random
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.tokenizers import BytePairTokenizer, Tokenizer, WordPieceTokenizer

pytestmark = pytest.mark.backend_free

LEARNED = [
    "It was a dark and stormy night; the rain fell in torrents -- except at occasional intervals.",
    "Un CAFÉ très naïve, s'il vous plaît: l'été où la mère rêve. Cafe\u0301 e\u0300te\u0301!",
    "Größe, Straße und STRASSE; ẞ ist groß. Þórður Ångström œuvre Æther ﬁn ǆ",
    "İstanbul'da ILIK \u0131\u015f\u0131k, DİYARBAKIR ve iyi günler",
    "今天天气很好。東京タワーへ行きました abc漢字def 﨩豈",
    "안녕하세요 세계 한국어 각 값",
    "السَّلامُ عَلَيْكُمْ وَرَحْمَةُ اللهِ، مرحبا؟",
    "שָׁלוֹם עֲלֵיכֶם — מה שלומך?",
    "हिन्दी में नमस्ते १६। ᬅᬦᬓ᭄ ꦲꦤ꧀",
    "Tiếng Việt: Nguyễn Ðức, phở và bánh mì; ΑΘΗΝΑ Οδυσσεύς ΐ ᾳ",
    "👍🏽 ok 🤷\u200d♀️ 👩\u200d👩\u200d👧 🇩🇪 ❤️",
]
TRICKY = [
    *LEARNED,
    "",
    " ",
    " \t\r\n\u00a0\u2003\u3000\u2028 ",
    "\x00",
    "\x00a\x00 \x00",
    "a\x00b\x01c\x0bd\x0ce\x7ff\x85g\u200bh\u200di\ufeffj\u2028k\u180el\ufffdm",
    "\ufeffIt was",
    "private \ue000x\U000f0000 unassigned \u0378x noncharacter \uffffx\U0010ffff",
    "a.b,c!?$+<=>^`|~ «d» …¿e? @#%&*()_-/\\ ٪ ؛ 、。",
    "[CLS] [UNK]x [MASK] ##ing a##b <|endoftext|>",
    "xyzzy Ж щука ⅓ ² Ⅷ ①",
    "night" * 20,
    "night" * 20 + "s",
    "é" * 100 + " " + "é" * 101,
    "각" * 50 + " " + "가" * 50 + "나",
    "cafe\u0301\u0301\u0327 \u0301 e\u0301\u0301 \u0301\u0301e",
    "각\u11a8 \u1100\u1161\u11a8 \u11a8",
    # Marks that are no accents change places, before or after accents or parts of a character.
    "a\u302e\u1b44b a\u0301\u302e a\u302e\u0301\u1b44 é\u302e\u1b44",
    "\u302e",
    "\u1b44\u302e\u1b44",
    "\U0001d15e\u1b44 \U0001d160\u302e\U0001d165 \u0344\u302e\u0f73\u1b44",
    "a\u302e\x00\u1b44 a\u302e\u200d\u1b44 a\u302e \u1b44 漢\u302e\u1b44",
]
# Every kind of character, the ranks of marks included: no text of these has an unknown word.
ALPHABET = sorted(
    {c for text in LEARNED for c in text}
    | set(" \n\u3000\x00\x01\u200d\ufffd.#-$aAzßİ\u0131")
    | set("\u302e\u302f\u1b44\ua9c0\U0001d165\U0001d15e\U0001d160\U00016ff0")
    | set("\u0301\u0327\u0345\u0344\u0f73\u0334\u0903\u0a03\u1dfa\u08d3\U0001e130")
)
OPTIONS = [
    # clean_text, handle_chinese_chars, strip_accents, lowercase
    (True, True, None, True),
    (False, True, True, False),
    (True, False, False, True),
    (False, False, None, True),
]
LONGEST_FIRST = {
    # text: its pieces
    "abcde": ["abcd", "##e"],
    "abce": ["ab", "##c", "##e"],
    "aba": ["[UNK]"],  # "a" and "##ba" would do, but a piece is never taken back
    "cbcde": ["c", "##bcde"],
    "cbcd": ["c", "##b", "##cd"],
    "abcc": ["ab", "##c", "##c"],
    "abx c": ["[UNK]", "c"],
}

# A process of somebody who has TensorFlow and nothing else of ours.
CONSUMER = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        blocked = "zoo", "keras_nlp", "keras_hub", "tokenizers", "tensorflow_text"
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import tensorflow as tf

folder, texts, results = sys.argv[1:]
texts = tf.constant([text.encode() for text in json.load(open(texts))])
encoded = tf.saved_model.load(folder).encode(texts)
json.dump([part.to_list() for part in encoded], open(results, "w"))
"""


@functools.cache
def trained(lowercase):
    return WordPieceTokenizer.train(LEARNED * 3, vocab_size=800, lowercase=lowercase)


@functools.cache
def of_characters(options):
    """A tokenizer with a token for each character, so that ids and offsets show everything."""
    forms = [f for c in ALPHABET for f in (c, unicodedata.normalize("NFD", c))]
    characters = sorted({c for form in forms for c in form + form.lower()})
    tokens = ["[PAD]", "[UNK]", *characters, *("##" + c for c in characters)]
    names = "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"
    return changed(
        normalizer={"type": "BertNormalizer", **dict(zip(names, options, strict=True))},
        model={"vocab": {token: i for i, token in enumerate(tokens)}},
        added_tokens=[],
    )


def changed(**parts):
    """The trained tokenizer with other parts; `model` holds what is new in the model."""
    contents = json.loads(trained(True).to_json())
    parts["model"] = contents["model"] | parts.get("model", {})
    return Tokenizer(json.dumps(contents | {"post_processor": None} | parts))


@functools.cache
def encoder(tokenizer, traced):
    tf = pytest.importorskip("tensorflow")
    from zoo.exporting.tokenizers.word_pieces import GraphWordPiece

    encode = GraphWordPiece(tokenizer).encode
    if not traced:  # which takes longer than a few calls without
        return encode
    return tf.function(encode, [tf.TensorSpec([None], "string")], autograph=False)


def encoded(tokenizer, texts, traced=True):
    """What the graph gives, in the form of `tokenizer.encode_with_offsets`."""
    texts = np.array([t if isinstance(t, bytes) else t.encode() for t in texts], "object")
    rows = zip(*(part.to_list() for part in encoder(tokenizer, traced)(texts)), strict=True)
    return [(ids, list(zip(starts, ends, strict=True))) for ids, starts, ends in rows]


def differences(tokenizer, texts, traced=True):
    expected = tokenizer.encode_with_offsets(texts)
    triples = zip(texts, encoded(tokenizer, texts, traced), expected, strict=True)
    return [triple for triple in triples if triple[1] != triple[2]]


def random_texts(pool, count, longest=12):
    chance = random.Random(0)
    return ["".join(chance.choices(pool, k=chance.randrange(longest))) for _ in range(count)]


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_and_offsets_are_the_librarys(lowercase):
    tokenizer = trained(lowercase)
    assert differences(tokenizer, TRICKY) == []
    ids = {i for row, _ in encoded(tokenizer, TRICKY) for i in row}
    assert tokenizer.unknown_id in ids
    assert len(ids) > 100  # that is, not only unknown words were compared


@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_of_the_normaliser(options):
    tokenizer = of_characters(options)
    texts = [*TRICKY, *random_texts(ALPHABET, 3000)]
    assert differences(tokenizer, texts, traced=False) == []


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_kind_of_character(lowercase):
    points = np.r_[:0x3400, 0x3400:0xD800:23, 0xE000:0xF900:101, 0xF900:0x10000]
    points = np.r_[points, 0x10000:0x20000:3, 0x20000:0x110000:1009]
    texts = [f"a{chr(c)}b {chr(c)}\u302e{chr(c)} a{chr(c)}" for c in points]
    assert differences(trained(lowercase), texts) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), st.booleans())
def test_any_text(texts, lowercase):
    assert differences(trained(lowercase), texts) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from(ALPHABET)), max_size=4))
def test_any_text_of_known_characters(texts):
    tokenizer = of_characters(OPTIONS[0])
    assert differences(tokenizer, texts) == []
    assert all(tokenizer.unknown_id not in ids for ids, _ in encoded(tokenizer, texts))


def test_a_row_does_not_depend_on_the_others():
    tokenizer = of_characters(OPTIONS[0])
    # Joined, these would be one word, and marks would change places across the border.
    texts = ["night", "s", "a\u302e", "\u1b44", "\u0301", "漢", ""]
    assert encoded(tokenizer, texts) == [encoded(tokenizer, [text])[0] for text in texts]


def test_the_longest_piece_is_taken_first():
    tokens = [
        "[UNK]",
        "a",
        "ab",
        "abcd",
        "b",
        "##b",
        "##c",
        "##cd",
        "##bcde",
        "##d",
        "c",
        "##e",
        "##ba",
    ]
    tokenizer = changed(
        model={"vocab": {token: i for i, token in enumerate(tokens)}}, added_tokens=[]
    )
    encode = functools.partial(encoded, tokenizer, traced=False)
    ids = {text: [tokens[i] for i in encode([text])[0][0]] for text in LONGEST_FIRST}
    assert ids == LONGEST_FIRST
    words = random_texts("abcde", 2000)
    assert differences(tokenizer, [*words, " ".join(words)], traced=False) == []


@pytest.mark.parametrize(("prefix", "longest"), [("##", 1), ("", 5), ("@", 1000)])
def test_other_prefixes_and_word_lengths(prefix, longest):
    characters = "abcdé"
    pieces = [a + b for a in ["", *characters] for b in characters]
    tokens = dict.fromkeys(["[UNK]", *pieces, prefix, *(prefix + p for p in pieces[:-3])])
    tokenizer = changed(
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": False,
            "lowercase": True,
        },
        model={
            "vocab": {token: i for i, token in enumerate(t for t in tokens if t)},
            "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": longest,
        },
        added_tokens=[],
    )
    assert differences(tokenizer, random_texts(characters + " .", 300), traced=False) == []


def test_a_vocabulary_of_the_unknown_token_alone():
    tokenizer = changed(model={"vocab": {"[UNK]": 0}}, added_tokens=[])
    expected = [0, 0, 0], [(0, 2), (3, 6), (6, 7)]
    assert encoded(tokenizer, ["It was. "], traced=False) == [expected]


def test_special_tokens_in_a_text_are_text():
    tokenizer = trained(True)
    (ids, offsets), expected = encoded(tokenizer, ["[SEP]"])[0], tokenizer.encode("[SEP]")
    assert ids == expected
    assert tokenizer.special_ids["[SEP]"] not in ids
    assert offsets[0] == (0, 1)


def test_bytes_that_are_not_utf8_read_as_replacement_characters():
    tokenizer = trained(False)
    texts = [b"night \xff rain", b"caf\xc3", b"\x80\x80", b"n\xedght"]
    assert encoded(tokenizer, texts) == tokenizer.encode_with_offsets(
        [text.decode(errors="replace") for text in texts]
    )


def test_an_empty_batch():
    for part in encoder(trained(True), traced=True)(np.array([], "object")):
        assert part.to_list() == []
        assert part.dtype == "int32"


def test_a_saved_model_needs_tensorflow_alone(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tokenizer = trained(True)
    module = tf.Module()
    module.encode = encoder(tokenizer, traced=True)
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert sum(f.stat().st_size for f in (tmp_path / "model").rglob("*")) < 2 * 2**20
    files = [tmp_path / name for name in ("consumer.py", "model", "texts.json", "results.json")]
    files[0].write_text(CONSUMER)
    files[2].write_text(json.dumps(TRICKY))
    process = subprocess.run([sys.executable, *files], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    ids, starts, ends = json.loads(files[3].read_text())
    for row, (expected, offsets) in enumerate(tokenizer.encode_with_offsets(TRICKY)):
        assert ids[row] == expected
        assert list(zip(starts[row], ends[row], strict=True)) == offsets


# What is refused, and what is not.


def check(tokenizer):
    pytest.importorskip("tensorflow")
    from zoo.exporting.tokenizers.word_pieces import check_word_piece

    return check_word_piece(tokenizer)


def added_token(**flags):
    names = "single_word", "lstrip", "rstrip", "normalized"
    return {"content": "zebra", "id": 800, **dict.fromkeys(names, False), **flags}


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"normalizer": None}, "it does not normalise text as BERT does"),
        ({"normalizer": {"type": "Lowercase"}}, "it does not normalise text as BERT does"),
        ({"pre_tokenizer": None}, "it does not split text as BERT does"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "it does not split text as BERT does"),
        (
            {"normalizer": None, "pre_tokenizer": None},
            "it does not normalise text as BERT does, it does not split text as BERT does",
        ),
    ],
)
def test_what_a_graph_cannot_do_is_refused(parts, problem):
    message = f"Only a WordPiece tokenizer such as BERT's .* of this one: {problem}. A task without"
    with pytest.raises(ValueError, match=message):
        check(changed(**parts))


def test_other_models_are_refused():
    from zoo.exporting.tokenizers.word_pieces import GraphWordPiece

    with pytest.raises(ValueError, match=r"of this one: its model is BPE\. A task without"):
        GraphWordPiece(BytePairTokenizer.train(["a few words"], vocab_size=260))


def test_added_tokens_must_be_special():
    added = json.loads(trained(True).to_json())["added_tokens"]
    extra = added_token(special=False, id=trained(True).vocab_size)
    with pytest.raises(ValueError, match="it has added tokens that are not special"):
        check(changed(added_tokens=[*added, extra]))
    special = changed(added_tokens=[*added, extra | {"special": True}])
    check(special)
    texts = ["a zebra and a night", "zebra[CLS]zebra", "Zébra"]
    assert differences(special, texts, traced=False) == []


def test_files_of_others_pass():
    """As published for BERT: with truncation, padding and a post-processor."""
    added = json.loads(trained(True).to_json())["added_tokens"]
    published = changed(
        version="1.0",
        truncation={
            "direction": "Right",
            "max_length": 8,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        padding={
            "strategy": {"Fixed": 16},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        added_tokens=added,
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    )
    check(published)
    assert differences(published, TRICKY, traced=False) == []
