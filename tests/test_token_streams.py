"""Ids decoded one by one: the pieces add up to what `decode` gives."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenizers import TEXTS, any_text, gpt2
from zoo.tokenizers import Tokenizer

backend_free = pytest.mark.backend_free


@backend_free
@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=30))
def test_a_stream_adds_up_to_decode_for_any_ids(ids):
    tokenizer = gpt2()[0]
    for skip_special in (True, False):
        stream = tokenizer.stream_decoder(skip_special)
        text = "".join(map(stream.put, ids)) + stream.flush()
        assert text == tokenizer.decode(ids, skip_special)


@backend_free
@settings(max_examples=100, deadline=None)
@given(any_text)
def test_a_stream_never_splits_a_character(text):
    tokenizer = gpt2()[0]
    stream = tokenizer.stream_decoder()
    pieces = [stream.put(i) for i in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert all(piece in text for piece in pieces)
    assert stream.flush() == ""


def test_a_word_piece_stream_adds_up_to_decode(word_piece):
    ids = word_piece.encode(TEXTS[0] + " Don't stop: [CLS] it rains.")
    ids = [word_piece.start_id, *ids, word_piece.end_id]
    for skip_special in (True, False):
        stream = word_piece.stream_decoder(skip_special)
        text = "".join(map(stream.put, ids)) + stream.flush()
        assert text == word_piece.decode(ids, skip_special)


def test_a_stream_of_fallback_bytes_waits_for_whole_characters():
    spelled = [f"<0x{byte:02X}>" for byte in range(256)]
    contents = {
        "added_tokens": [],
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "Unigram",
            "unk_id": None,
            "vocab": [[token, 0.0] for token in [*spelled, "▁the", "n"]],
            "byte_fallback": True,
        },
    }
    tokenizer = Tokenizer.from_json(json.dumps(contents))
    ids = [256, *"🙂é".encode(), 256, 257, *"日".encode()]
    stream = tokenizer.stream_decoder()
    pieces = [stream.put(i) for i in ids]
    assert "".join(pieces) + stream.flush() == tokenizer.decode(ids) == " the🙂é then日"
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_stream_ends_with_what_was_held_back(bpe):
    stream = bpe.stream_decoder()
    first, *rest = bpe.encode("🙂")
    assert stream.put(first) == ""
    assert stream.flush() == "\ufffd"
    assert "".join(map(stream.put, [first, *rest])) == "🙂"


def test_errors_of_a_stream(bpe):
    with pytest.raises(ValueError, match="within"):
        bpe.stream_decoder().put(999)
