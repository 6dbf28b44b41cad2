"""Vocabularies without a tokenizer.json: the same ids as theirs."""

import json

import pytest

import zoo
from tests.foreign import change_config
from tests.models import TEXTS
from zoo import checkpoints
from zoo.tokenizers import BytePairTokenizer, WordPieceTokenizer

backend_free = pytest.mark.backend_free

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "##s", "é", "Caf", "##é"]


@backend_free
def test_a_vocabulary_alone_makes_a_tokenizer(tmp_path):
    assert checkpoints.read_tokenizer(tmp_path) is None
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = checkpoints.read_tokenizer(tmp_path)
    assert tokenizer.vocab_size == len(VOCABULARY)
    assert tokenizer.encode("The cafés zoo [SEP]") == [5, 6, 7, 1, 1, 1, 1]
    assert (tokenizer.start_id, tokenizer.end_id, tokenizer.pad_id) == (2, 3, 0)
    assert (tokenizer.mask_id, tokenizer.unknown_id) == (4, 1)
    change_config(tmp_path, "tokenizer_config.json", do_lower_case=False)
    assert checkpoints.read_tokenizer(tmp_path).encode("Café the") == [9, 10, 5]
    tokenizer.save(tmp_path)  # a tokenizer.json goes before
    assert checkpoints.read_tokenizer(tmp_path) == tokenizer


@backend_free
def test_a_vocabulary_gives_their_ids(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    for lowercase in (True, False):
        change_config(tmp_path, "tokenizer_config.json", do_lower_case=lowercase)
        vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
        theirs = transformers.BertTokenizer(vocab=vocabulary, do_lower_case=lowercase)
        ours = checkpoints.read_tokenizer(tmp_path)
        for text in ("The Cafés, the café", "Cafés thé 日本 the-the", ""):
            assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


@backend_free
def test_vocabularies_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No tokenizer file"):
        WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt")
    with pytest.raises(ValueError, match="hold each token once, one on each line; got 'the' twice"):
        WordPieceTokenizer.from_vocab([*VOCABULARY, "the"])
    with pytest.raises(ValueError, match=r"must hold \[UNK\]"):
        WordPieceTokenizer.from_vocab(["the"])
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    change_config(tmp_path, "tokenizer_config.json", tokenize_chinese_chars=False)
    with pytest.raises(ValueError, match="tokenize_chinese_chars must be left at its default"):
        checkpoints.read_tokenizer(tmp_path)


GPT2_NAMES = ["<|endoftext|>"]
ROBERTA_NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


@backend_free
@pytest.mark.parametrize(
    ("cls", "names"),
    [("GPT2Tokenizer", GPT2_NAMES), ("RobertaTokenizer", ROBERTA_NAMES)],
)
def test_a_vocabulary_with_merges_gives_their_ids_and_roles(tmp_path, cls, names):
    transformers = pytest.importorskip("transformers")
    trained = BytePairTokenizer.train(TEXTS, 300, special_tokens=names)
    model = json.loads(trained.to_json())["model"]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    theirs = getattr(transformers, cls).from_pretrained(tmp_path)
    ours = checkpoints.read_tokenizer(tmp_path)
    for text in (*TEXTS, " a  b\n\n\tc", "I am <mask> <pad>.", "naïve 数字 🙂", ""):
        expected = theirs.encode(text, add_special_tokens=False)
        assert ours.encode(text, allow_special=True) == expected
    assert set(ours.special_ids) == set(names)
    roles = zoo.tokenizers.SpecialTokens.of(ours)
    assert roles.end == theirs.eos_token_id
    assert roles.mask == (theirs.mask_token_id if "<mask>" in names else None)


@backend_free
def test_a_vocabulary_with_merges_that_is_no_such_thing(tmp_path):
    (tmp_path / "vocab.json").write_text("[1]")
    (tmp_path / "merges.txt").write_text("a b")
    with pytest.raises(ValueError, match=r"vocab\.json"):
        checkpoints.read_tokenizer(tmp_path)
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(ValueError, match=r"vocab\.json and merges\.txt.*merge 0 needs the token"):
        checkpoints.read_tokenizer(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt"):
        checkpoints.read_tokenizer(tmp_path)
