"""GGUF files and SentencePiece models that lie: `{case: (bytes, what the error must say)}`."""

import struct

import numpy as np

from benchmarks.hostile.files import NAMES, OTHERS

# GGUF


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, code, value):
    return text(key) + struct.pack("<I", code) + value


def number(value, form="<I"):
    return struct.pack(form, value)


def info(name="w", shape=(32,), code=0, offset=0):
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", code, offset)


TENSORS = (info(),)


def gguf(infos=TENSORS, pairs=(), data=bytes(128), magic=b"GGUF", version=3, counts=None):
    num_tensors, num_pairs = counts or (len(infos), len(pairs))
    head = magic + struct.pack("<IQQ", version, num_tensors, num_pairs)
    head += b"".join(pairs) + b"".join(infos)
    return head + bytes(-len(head) % 32) + data


ALIGNMENT = "general.alignment"
SOUND_GGUF = gguf(pairs=[pair("general.name", 8, text("x")), pair("n", 4, number(1))])
GGUF = {
    "empty": (b"", "its start needs 4 bytes"),
    "short": (b"GGUF\3\0\0\0", "number of tensors"),
    "magic": (gguf(magic=b"GGML"), "no GGUF file"),
    "version 1": (gguf(version=1), "got version 1"),
    "big-endian": (gguf(version=3 << 24), "got a big-endian file"),
    "counts: tensors": (gguf(counts=(2**63, 0)), "at most 20000 tensors; got 9223372036854775808"),
    "counts: more tensors": (gguf(counts=(10_000, 0)), "10000 tensors do not fit"),
    "counts: fewer tensors": (gguf(counts=(0, 0)), "it has no tensors"),
    "counts: one more": (gguf(counts=(2, 0)), "'' is no name of a tensor"),
    "counts: keys": (gguf(counts=(1, 2**40)), "at most 2000 keys"),
    "counts: more keys": (gguf(counts=(1, 1500)), "1500 keys do not fit"),
    "key: length": (gguf(pairs=[number(2**63, "<Q") + bytes(20)]), "a key must be at most 65535"),
    "key: cut": (gguf(pairs=[number(60_000, "<Q") + bytes(20)]), "a key needs 60000 bytes"),
    "key: not utf-8": (gguf(pairs=[pair(b"\xff", 4, number(1))]), "a key must be UTF-8"),
    "key: empty": (gguf(pairs=[pair("", 4, number(1))]), "the key '' is empty"),
    "key: twice": (gguf(pairs=[pair("n", 4, number(1))] * 2), "the key 'n' is empty, unprint"),
    "type of a value": (gguf(pairs=[pair("n", 13, number(1))]), "key 'n' has the type 13"),
    "bool": (gguf(pairs=[pair("n", 7, b"\2")]), "key 'n' must be true or false"),
    "text: length": (gguf(pairs=[pair("n", 8, number(2**62, "<Q"))]), "key 'n' must be at most"),
    "text: cut": (gguf(pairs=[pair("n", 8, number(2**20, "<Q"))]), "key 'n' needs 1048576 bytes"),
    "text: not utf-8": (gguf(pairs=[pair("n", 8, text(b"\xff"))]), "key 'n' must be UTF-8"),
    "array: count": (
        gguf(pairs=[pair("n", 9, number(4) + number(2**60, "<Q"))]),
        "at most 1048576 items of key 'n'",
    ),
    "array: cut": (
        gguf(pairs=[pair("n", 9, number(8) + number(2**20, "<Q"))]),
        "1048576 items of key 'n' do not fit",
    ),
    "array: of arrays": (
        gguf(pairs=[pair("n", 9, number(9) + number(1, "<Q") + bytes(12))]),
        "key 'n' has the type 9",
    ),
    "array: text": (
        gguf(pairs=[pair("n", 9, number(8) + number(1, "<Q") + number(2**50, "<Q"))]),
        "key 'n' needs 1125899906842624 bytes",
    ),
    "many empty texts": (
        gguf(pairs=[pair("n", 9, number(8) + number(2**20 + 1, "<Q") + bytes(2**23 + 8))]),
        "at most 1048576 items of key 'n'",
    ),
    **{
        f"alignment: {value}": (
            gguf(pairs=[pair(ALIGNMENT, 4, number(value))]),
            f"must be a power of 2 from 8 to 65536; got {value}",
        )
        for value in (0, 4, 24, 2**31)
    },
    "alignment: type": (gguf(pairs=[pair(ALIGNMENT, 8, text("32"))]), "power of 2 from 8"),
    "name: over 64": (gguf([info(name="n" * 65)]), "must be at most 64 bytes; got 65"),
    **{f"name: {case}": (gguf([info(name=name)]), "name") for case, name in NAMES.items()},
    "name: twice": (gguf([info(), info(offset=128)], data=bytes(256)), "'w' is there twice"),
    "rank": (gguf([info(shape=(32, 1, 1, 1, 1))]), "up to 4 sizes; got 5"),
    "rank: 2**31": (gguf([text("w") + number(2**31) + bytes(40)]), "up to 4 sizes; got 2147"),
    "shape: nothing": (gguf([info(shape=(0, 4))]), "sizes above 0"),
    "shape: overflow": (gguf([info(shape=(2**33, 2**33))]), "the shape of 'w'"),
    "shape: more than there is": (gguf([info(shape=(2**40,))]), "is cut short"),
    "shape: of no blocks": (gguf([info(shape=(33,), code=8)]), "rows of blocks of 32"),
    "type: none": (gguf([info(code=4)]), "'w' has the type 4, which no tensor has"),
    "type: 2**31": (gguf([info(code=2**31)]), "which no tensor has"),
    "type: not supported": (gguf([info(code=16, shape=(256,))]), "blocks of IQ2_XXS"),
    "offset: odd": (gguf([info(offset=4)]), "'w' must lie at 0; got 4"),
    "offset: far": (gguf([info(offset=2**62)]), "'w' must lie at 0; got"),
    "offset: overlap": (gguf([info(), info("v", offset=64)]), "'v' must lie at 128; got 64"),
    "offset: hole": (gguf([info(), info("v", offset=160)], data=bytes(288)), "at 128; got 160"),
    "cut": (gguf(data=bytes(127)), "is cut short: 128 bytes"),
    "trailing bytes": (gguf(data=bytes(160)), "has bytes that belong to no tensor"),
    **{case: other for case, other in OTHERS.items() if case != "a gguf"},
}

TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["<|end|>", "a", "b", "ab"],
    "tokenizer.ggml.token_type": np.array([3, 1, 1, 1], "int32"),
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.eos_token_id": 0,
}
SPM = {
    "model": "llama",
    "tokens": ["<unk>", "a"],
    "token_type": np.array([2, 1]),
    "scores": np.zeros(2, "float32"),
}
TOKENIZERS = {  # what differs from a sound one
    "model": ({"model": "wordpiece"}, "must be one of gpt2, llama, t5; got 'wordpiece'"),
    "no model": ({"model": None}, "model must be str"),
    "words": ({"pre": "unheard"}, "cut into words as one of .*; got 'unheard'"),
    "tokens": ({"tokens": "abc"}, "tokens must be list; got str"),
    "token twice": ({"tokens": ["a", "a", "b", "ab"]}, "none of them twice"),
    "types": (
        {"token_type": np.array([1], "int32")},
        "token_type must have a number for each of 4",
    ),
    "type": ({"token_type": [1, 2, 3, 4]}, "token_type must have a number"),
    "merges": ({"merges": ["ab"]}, "merges must be pairs"),
    "no merges": ({"merges": None}, "merges must be list"),
    "id": ({"eos_token_id": 4}, "eos_token_id must be one of its 4 ids; got 4"),
    "negative id": ({"eos_token_id": -1}, "eos_token_id must be one of"),
    "id of text": ({"bos_token_id": "0"}, "bos_token_id must be int; got str"),
    "scores": (SPM | {"scores": np.zeros(1, "float32")}, "scores must have a number for each of 2"),
    "NaN": (SPM | {"scores": np.array([0, np.nan], "float32")}, "finite score; got nan"),
    "no unknown": (SPM | {"token_type": np.array([1, 1])}, "must have one unknown piece"),
    "charsmap": (SPM | {"precompiled_charsmap": np.ones(99, "uint8")}, "precompiled_charsmap"),
}


# SentencePiece


def varint(value):
    data = b""
    while value > 127:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def field(number, value):
    """An integer, a float, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text, score=0.0, kind=1):
    return field(1, field(1, text) + field(2, score) + field(3, kind))


UNK = piece("<unk>", 0.0, 2)


PIECES = UNK, piece("a")


def spm(pieces=PIECES, trainer=b"", normalizer=b"", rest=b""):
    return b"".join(pieces) + field(2, trainer) + field(3, normalizer) + rest


def charsmap(units, texts=b"b\0"):
    trie = np.asarray(units, "<u4").tobytes()
    return field(2, struct.pack("<I", len(trie)) + trie + texts)


LOOP = np.arange(256, dtype="<u4")  # each node leads to itself
SPM_FILES = {
    "empty": (b"", "it has no settings"),
    "text": (b"no model at all", "no sound SentencePiece model"),
    "pieces alone": (UNK, "it has no settings"),
    "endless integer": (spm(rest=b"\xff" * 1000), "an integer is over 64 bits"),
    "integer over 64 bits": (spm(rest=b"\x08" + b"\xff" * 9 + b"\x7f"), "over 64 bits"),
    "group": (spm(rest=b"\x0b"), "the wire type 3"),
    "field 0": (spm(rest=b"\0\0"), "a field has the number 0"),
    "length": (spm(rest=b"\x0a" + varint(2**62)), "field 1 is cut short"),
    "settings twice": (spm(rest=field(2, b"")), "field 2 is there twice"),
    "a number for a message": (spm(rest=field(1, 5)), "field 1 is there twice, or is no message"),
    "cut piece": (spm([UNK, field(1, b"\x0a\x09abc")]), "field 1 is cut short"),
    "score of text": (spm([UNK, field(1, field(1, "a") + field(2, "b"))]), "score has the wire"),
    "text twice": (spm([UNK, field(1, field(1, "a") * 2)]), "text is there twice"),
    "not utf-8": (spm([UNK, piece(b"\xff")]), "text must be UTF-8"),
    "NaN": (spm([UNK, piece("a", float("nan"))]), "piece 1, 'a', must have a finite score"),
    "infinity": (spm([UNK, piece("a", float("inf"))]), "piece 1, 'a', must have a finite score"),
    "type": (spm([UNK, piece("a", 0.0, 9)]), "has the type 9"),
    "negative type": (spm([UNK, piece("a", 0.0, -1)]), "has the type -1"),
    "unused": (spm([UNK, piece("a", 0.0, 5)]), "has the type 5, which is not supported"),
    "twice": (spm([UNK, piece("a"), piece("a")]), "piece 2, 'a', is empty.* or there twice"),
    "no text": (spm([UNK, piece("")]), "piece 1, '', is empty"),
    "zero": (spm([UNK, piece("a\0")]), "is empty"),
    "long": (spm([UNK, piece("a" * 513)]), "over 512 characters"),
    "all long": (
        spm([UNK, *(piece(f"{i:05}" + "a" * 500) for i in range(9_000))]),
        "at most 4000000 characters",
    ),
    "many": (spm([UNK], rest=b"\x0a\0" * (2**19)), "at most 300000 pieces"),
    "no unknown": (spm([piece("a")]), "must have one unknown piece"),
    "two unknown": (spm([UNK, piece("<un>", 0.0, 2)]), "must have one unknown piece"),
    "words": (spm(trainer=field(3, 3)), "must be a Unigram or a BPE model; got WORD"),
    "kind": (spm(trainer=field(3, 77)), "must be a Unigram or a BPE model; got 77"),
    "no bytes": (spm(trainer=field(35, 1)), "must have a piece for each byte"),
    "a byte": (spm([UNK, piece("<0x41>", 0.0, 6)]), "must be a byte if its name is one"),
    "suffix": (spm(trainer=field(24, 1)), "spaces written as U"),
    "decoder": (spm(rest=field(5, field(2, b"x"))), "changes text where it decodes"),
    "control of one letter": (spm([UNK, piece("a", 0.0, 3)]), "must have 2 characters"),
    "charsmap: short": (spm(normalizer=field(2, b"\xff\xff\x7f\0\0\0\2\0")), "no sound trie"),
    "charsmap: outside": (spm(normalizer=charsmap([1 << 20] * 256)), "leads outside of itself"),
    "charsmap: loop": (spm(normalizer=charsmap(LOOP | 1 << 8)), "charsmap has"),
    "charsmap: cut": (spm(normalizer=charsmap(LOOP & 0, b"bc")), "ends within a replacement"),
    "charsmap: large": (spm(normalizer=field(2, bytes(2**20 + 1))), "must be at most 1048576"),
    **OTHERS,
}
