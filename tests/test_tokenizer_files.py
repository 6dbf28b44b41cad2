"""Tokenizer files that lie: refused in one sentence, before the library sees them."""

import base64
import json
import re
import subprocess
import sys
import time

import pytest

from zoo.tokenizers import Tokenizer, WordPieceTokenizer, checks
from zoo.tokenizers.patterns import check_pattern

pytestmark = pytest.mark.backend_free

REFUSE_IN_LITTLE_MEMORY = """
import resource, sys
from zoo.tokenizers import Tokenizer
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
for path in sys.argv[1:]:
    try:
        tokenizer = Tokenizer.load(path)
        tokenizer.encode("é" * 2000)
        tokenizer.encode(["a b c"] * 1000)
    except ValueError as error:
        print(error, flush=True)
"""


def broken(tokenizer, change):
    contents = json.loads(tokenizer.to_json())
    change(contents)
    return json.dumps(contents)


def replace_step(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def split_step(pattern):
    kind = {"pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Split", **kind}


def chain(*steps):
    return lambda c: c.update(
        normalizer={"type": "Sequence", "normalizers": list(steps)}, pre_tokenizer=None
    )


def pre_chain(*steps):
    return lambda c: c.update(pre_tokenizer={"type": "Sequence", "pretokenizers": list(steps)})


def decoder(**step):
    return lambda c: c.update(decoder=step)


def added(token, token_id):
    return lambda c: c["added_tokens"].append({"id": token_id, "content": token, "special": True})


def charsmap(trie_size, trie=b"", texts=b""):
    return base64.b64encode(trie_size.to_bytes(4, "little") + trie + texts).decode()


def precompiled(table):
    return {"type": "Precompiled", "precompiled_charsmap": table}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("model"), "'model' object"),
        (lambda c: c["model"].update(type="Magic"), "one of BPE, WordPiece, Unigram; got 'Magic'"),
        (lambda c: c["model"].update(vocab=[]), "must map tokens to integer ids"),
        (lambda c: c["model"]["vocab"].update(a=1.5), "must map tokens to integer ids"),
        (lambda c: c["model"]["vocab"].update(a=True), "must map tokens to integer ids"),
        (lambda c: c["model"]["vocab"].update(a=7), "id 7 is given to both"),
        (lambda c: c["model"]["vocab"].update(extra=2**31), "with gaps"),
        (lambda c: c["model"]["vocab"].update(extra=-1), "with gaps"),
        (added("<new>", 2**31), "with gaps"),
        (added("<new>", 5), "id 5 is given to both"),
        (added("a", 320), "two different ids"),
        (added("", 320), "text 'content'"),
        (added("x" * 2**21, 320), "at most 2097152 characters in all; got"),
        (lambda c: c["model"]["merges"].append(["a", "nope"]), "'nope', which is not"),
        (lambda c: c["model"]["merges"].append("abc"), "must be a pair"),
        (lambda c: c["model"].update(merges=None), "list of merges"),
        (lambda c: c["model"].update(continuing_subword_prefix="x"), "start with the prefix 'x'"),
        (lambda c: c["model"].update(continuing_subword_prefix=3), "must be text; got 3"),
        (lambda c: c["model"].update(dropout=0.5), "dropout must be null, .* got 0.5. Set it to"),
        (lambda c: c["model"].update(unk_token=5), "tokenizer.json is not usable"),
    ],
)
def test_unsound_models_are_refused(bpe, change, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_json(broken(bpe, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (chain(*[replace_step({"String": "a"}, "aaa")] * 6), "at most 256 times longer; .* 729"),
        (chain(replace_step({"Regex": ""}, "a" * 500)), "501 times"),
        (chain(replace_step({"String": ""}, "b")), "Replace must have a non-empty pattern"),
        (chain(replace_step("a", "b")), "Replace must have a non-empty pattern"),
        (chain(replace_step({"Regex": 5}, "b")), "a pattern must be text"),
        (chain(*[{"type": "ByteLevel"}] * 12), "could reach 4096 times"),
        (pre_chain(*[BYTE_LEVEL] * 12), "could reach 4096 times"),
        (pre_chain(*[{"type": "ByteLevel"}] * 6), "could reach 729 times"),
        (chain({"type": "Prepend", "prepend": "x" * 10**6}), "Prepend must have a text of at most"),
        (chain({"type": "Prepend"}), "Prepend must have a text of at most 64 bytes"),
        (chain(*[{"type": "BertNormalizer"}] * 6), "could reach 729 times"),
        (chain(precompiled("////fwAAAAA=")), "charsmap with a whole trie; it is damaged"),
        (chain(precompiled("?")), "charsmap with a whole trie"),
        (chain(precompiled(None)), "charsmap with a whole trie"),
        (chain(precompiled("")), "charsmap with a whole trie"),
        (chain(precompiled(charsmap(3, bytes(3)))), "charsmap with a whole trie"),
        (chain(precompiled(charsmap(4, bytes(4), b"x" * 900 + b"\0"))), "could reach 300 times"),
        (chain({"type": "NFC"}, {"prepend": "xx"}), r"normalizer: a step must be an object with"),
        (chain(*[{"type": "NFC"}] * 65), "at most 64 steps; got 65"),
        (lambda c: c.update(normalizer="NFC"), "normalizer: a step must be an object"),
        (lambda c: c.update(normalizer={"type": "Sequence"}), "must have a list of 'normalizers'"),
        (pre_chain({"type": "FixedLength", "length": 0}), "FixedLength must have a length of at"),
        (pre_chain(split_step("(a|aa)+b")), "pre_tokenizer: Split: a pattern must not repeat"),
        (pre_chain({"type": "NFC"}), "pre_tokenizer: a step must be one of .* got 'NFC'"),
        (decoder(type="Nonsense"), "decoder: a step must be one of .* got 'Nonsense'"),
        (decoder(**replace_step({"String": "a"}, "b" * 300)), "its decoder may make .* 300 times"),
        (pre_chain(split_step("(")), "tokenizer.json is not usable"),
    ],
)
def test_unsound_steps_are_refused(bpe, change, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_json(broken(bpe, change))


def test_sequences_in_sequences_are_read_and_bounded(bpe):
    def nested(depth, step):
        for _ in range(depth):
            step = {"type": "Sequence", "normalizers": [step]}
        return lambda c: c.update(normalizer=step)

    assert Tokenizer.from_json(broken(bpe, nested(8, {"type": "Lowercase"}))).decode(
        Tokenizer.from_json(broken(bpe, nested(8, {"type": "Lowercase"}))).encode("RAIN")
    )
    with pytest.raises(ValueError, match="Prepend must have a text"):
        Tokenizer.from_json(broken(bpe, nested(3, {"type": "Prepend", "prepend": "x" * 99})))
    with pytest.raises(ValueError, match="may be nested 8 deep; these are deeper"):
        Tokenizer.from_json(broken(bpe, nested(9, {"type": "Lowercase"})))


def test_unsound_word_piece_and_unigram_files_are_refused(word_piece):
    for change, message in [
        ({"unk_token": "nope"}, "unknown token"),
        ({"max_input_chars_per_word": 10**12}, "from 0 to 1000; got 1000000000000"),
        ({"max_input_chars_per_word": None}, "from 0 to 1000; got None"),
    ]:
        with pytest.raises(ValueError, match=message):
            Tokenizer.from_json(broken(word_piece, lambda c, new=change: c["model"].update(new)))
    for vocab, message in [
        ([["a", "b"]], "finite score"),
        ([["a", float("nan")]], "finite score"),
        ([["a", 0.0], ["a", 1.0]], "occur once"),
        ([["a", 0.0]], "unk_id"),
        ([["a" * 2**24, 0.0]], "at most 12582912 characters in all; got 16777216"),
    ]:
        model = {"type": "Unigram", "vocab": vocab, "unk_id": 3 if "unk" in message else None}
        with pytest.raises(ValueError, match=message):
            Tokenizer.from_json(json.dumps({"model": model}))


@pytest.mark.parametrize(
    "steps",
    [
        [replace_step({"String": "``"}, '"'), replace_step({"Regex": " {2,}"}, " ")],
        # Llama's, ALBERT's and XLM-R's, but for their tables
        [{"type": "Prepend", "prepend": "▁"}, replace_step({"String": " "}, "▁")],
        [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}],
        [{"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Nmt"}],
    ],
)
def test_usual_steps_are_accepted(bpe, steps):
    tokenizer = Tokenizer.from_json(broken(bpe, chain(*steps)))
    assert tokenizer.encode("the dark   night")


def test_what_a_usual_step_does_is_done(bpe):
    steps = [replace_step({"String": "``"}, '"'), replace_step({"Regex": " {2,}"}, " ")]
    change = lambda c: c.update(normalizer={"type": "Sequence", "normalizers": steps})  # noqa: E731
    tokenizer = Tokenizer.from_json(broken(bpe, change))
    assert tokenizer.decode(tokenizer.encode("``a   b")) == '"a b'


PUBLISHED = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}&&[^\p{Han}]]*[\p{Ll}&&[^\p{Han}]]+|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",  # noqa: RUF001
    r"(?<=\d)(?=(?:\d{3})+(?!\d))|\d{1,3}(?=(\d{3})*\b)",
    r"(\[[^\]]+]|Br?|Cl?|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|\%[0-9]{2}|[0-9])",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[[:punct:]]+|[]a]+|(?:ab){2,}",
]


@pytest.mark.parametrize("pattern", PUBLISHED)
def test_published_patterns_are_accepted(bpe, pattern):
    check_pattern(pattern, "Split")
    assert Tokenizer.from_json(broken(bpe, pre_chain(split_step(pattern)))).encode("a 12 b!")


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a|aa)+b", "(a+)+b", "(a*)*", "(?:a?){50}", "((a+)b?)+", "(?<n>a+){2,}", "(?i:a|b)*"),
        *(r"(\w+\s?)*$", "(a{1,3})++", "(?=(a+)+b)", "([)]+a*)+", r"(\(|a*)*", "x" * 10_001),
    ],
)
def test_patterns_that_take_for_ever_are_refused(pattern):
    with pytest.raises(ValueError, match=r"Split: a pattern must"):
        check_pattern(pattern, "Split")


@pytest.mark.parametrize("pattern", ["", "(", "[", "\\", "[a", "(?", "a{", ")", "*", "[]", "\\p{L"])
def test_patterns_that_are_none_are_the_librarys_to_refuse(pattern):
    check_pattern(pattern, "Split")


# What ended the process, or took its memory


def test_no_file_ends_the_process(bpe, tmp_path):
    changes = [
        chain(*[{"type": "ByteLevel"}] * 12),
        pre_chain(*[BYTE_LEVEL] * 12),
        chain({"type": "Prepend", "prepend": "x" * 10**6}),
        chain(precompiled("////fwAAAAA=")),
        lambda c: c.update(model={"type": "Unigram", "vocab": [["a" * 30_000_000, 0.0]]}),
        lambda c: c.update(x="[[" + "[]," * 10**7),
    ]
    paths = [str(tmp_path / f"{number}.json") for number in range(len(changes))]
    for path, change in zip(paths, changes, strict=True):
        with open(path, "w", encoding="utf-8") as file:
            file.write(broken(bpe, change))
    run = [sys.executable, "-c", REFUSE_IN_LITTLE_MEMORY, *paths]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(paths), done.stdout
    for path, line in zip(paths, lines, strict=True):
        assert line.startswith(path)


@pytest.mark.parametrize(
    "text", ["[" + "[]," * 10**7 + "[]]", "[" * 30_000_000, "[" + "0," * 10**7 + "0]"]
)
def test_much_of_nothing_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(ValueError, match="may have at most 4194304 entries; got"):
        Tokenizer.from_json(text)
    assert time.perf_counter() - start < 5


# What the library fails at


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": None}, "`unk_id` is missing"),
        ({"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<no>"}, "`<no>` not found"),
    ],
)
def test_what_the_library_fails_at_names_the_file_and_the_step(tmp_path, model, reason):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({"model": model, "added_tokens": []}))
    tokenizer = Tokenizer.load(tmp_path)
    message = f"{re.escape(str(file))} cannot encode this text: .*{reason}.*. Its model fails"
    for call in (tokenizer.encode, tokenizer.encode_with_offsets, lambda t: tokenizer.encode([t])):
        with pytest.raises(ValueError, match=message):
            call("xyz")
    assert tokenizer.encode("aa") == [0, 0]


def test_panics_of_encode_and_decode_are_errors(bpe, monkeypatch, capfd):
    # Nothing known passes the checks and panics; this one is what they refuse.
    monkeypatch.setattr("zoo.tokenizers.checks.check_steps", lambda *_: None)
    fixed = pre_chain({"type": "FixedLength", "length": 0})
    for call in (lambda t: t.encode("abc"), lambda t: t.encode_with_words(["abc"])):
        with pytest.raises(ValueError, match=r"chunk size .*\. Its pre_tokenizer fails"):
            call(Tokenizer.from_json(broken(bpe, fixed)))
    letter = bpe.token_to_id("a")
    strip = decoder(type="Strip", content="a", start=10**9, stop=10**9)
    for call in (lambda t: t.decode([letter]), lambda t: t.decode([[letter]])):
        with pytest.raises(ValueError, match="cannot decode these ids: its decoder fails"):
            call(Tokenizer.from_json(broken(bpe, strip)))
    capfd.readouterr()  # the library writes of its panics


def test_damaged_files_are_refused(bpe, tmp_path, monkeypatch):
    file = tmp_path / "tokenizer.json"
    twice = b'{"model": {"vocab": {}, "vocab": {}}}'
    large = b'{"model": ' + b"1" * 10**4 + b"}"
    whole = bpe.to_json().encode()
    for content in (b"", b"{", b"[]", b"[" * 10**6, b"\xff\xfe", whole[:-20], twice, large):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(file)) + " must be"):
            Tokenizer.load(tmp_path)
    file.write_bytes(twice)
    with pytest.raises(ValueError, match="the key 'vocab' occurs twice"):
        Tokenizer.load(tmp_path)
    with pytest.raises(TypeError, match="made of a JSON text, a str; got dict"):
        Tokenizer.from_json({})
    with pytest.raises(ValueError, match="WordPieceTokenizer holds a WordPiece model; got BPE"):
        WordPieceTokenizer.from_json(bpe.to_json())
    monkeypatch.setattr(checks, "MAX_BYTES", 10)
    file.write_text("x" * 11)
    with pytest.raises(ValueError, match="at most 10 bytes; got 11"):
        Tokenizer.load(tmp_path)
