"""The steps of a `tokenizer.json` around its model: each known, and together of bounded growth.

Growth counts UTF-8 bytes: how many times longer a step may make any text. The library allocates
without asking, so that twelve harmless-looking steps in a row end the process.
"""

import base64

from zoo.tokenizers.patterns import check_pattern

MAX_STEPS = 64  # of each part
MAX_DEPTH = 8
MAX_GROWTH = 256
MAX_PREPENDED = 64
LISTS = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}


def check_steps(contents, source):
    """Raise ValueError for a step that the library would fail on, or die of."""
    growth = {part: part_growth(contents.get(part), part, source) for part in LISTS}
    sides = {
        "normalizer and pre_tokenizer": growth["normalizer"] * growth["pre_tokenizer"],
        "decoder": growth["decoder"],
    }
    for parts, times in sides.items():
        if times > MAX_GROWTH:
            raise ValueError(
                f"{source}: the steps of its {parts} may make a text at most {MAX_GROWTH} times "
                f"longer; these could reach {times:.0f} times."
            )


def part_growth(part, kind, source):
    name, known = f"{source}: {kind}", GROWTH[kind]
    steps = flattened(part, LISTS[kind], name)
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{name}: there may be at most {MAX_STEPS} steps; got {len(steps)}.")
    growth = 1
    for step in steps:
        if step["type"] not in known:
            raise ValueError(
                f"{name}: a step must be one of {', '.join(known)}; got {step['type'][:80]!r}."
            )
        times = known[step["type"]]
        growth *= times(step, f"{name}: {step['type']}") if callable(times) else times
    return growth


def flattened(step, inner, name, depth=0):
    """The steps of a part in order, those of sequences in their place."""
    if step is None:
        return []
    if depth > MAX_DEPTH:
        raise ValueError(f"{name}: sequences may be nested {MAX_DEPTH} deep; these are deeper.")
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise ValueError(f"{name}: a step must be an object with a 'type'; got {str(step)[:80]}.")
    if step["type"] != "Sequence":
        return [step]
    if not isinstance(step.get(inner), list):
        raise ValueError(f"{name}: a Sequence must have a list of {inner!r}.")
    return [s for child in step[inner] for s in flattened(child, inner, name, depth + 1)]


def replace(step, name):
    content, pattern = step.get("content"), step.get("pattern")
    pattern_ok = isinstance(pattern, dict) and len(pattern) == 1
    literal = pattern.get("String") if pattern_ok else None
    if not isinstance(content, str) or not pattern_ok or literal == "":
        raise ValueError(f"{name} must have a non-empty pattern and a content.")
    if isinstance(literal, str):
        return max(1, num_bytes(content) / num_bytes(literal))
    check_pattern(pattern.get("Regex"), name)
    return num_bytes(content) + 1  # it may match the empty string between any two characters


def split(step, name):
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and "Regex" in pattern:
        check_pattern(pattern["Regex"], name)
    return 1


def prepend(step, name):
    text = step.get("prepend")
    if not isinstance(text, str) or num_bytes(text) > MAX_PREPENDED:
        raise ValueError(f"{name} must have a text of at most {MAX_PREPENDED} bytes.")
    return 1  # once a text


def fixed_length(step, name):
    length = step.get("length")
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"{name} must have a length of at least 1; got {str(length)[:80]}.")
    return 1


def precompiled(step, name):
    """SentencePiece's table: the size of a trie in bytes, the trie, texts that end with NUL."""
    try:
        table = base64.b64decode(step.get("precompiled_charsmap"), validate=True)
    except (TypeError, ValueError):
        table = b""
    size = int.from_bytes(table[:4], "little")
    if len(table) < 4 or size % 4 or size > len(table) - 4:
        raise ValueError(f"{name} must have a charsmap with a whole trie; it is damaged.")
    # What Unicode's own tables make longest has three bytes: U+FDFA becomes 33.
    return max(1, max(map(len, table[4 + size :].split(b"\0"))) / 3)


def byte_level(step, name):
    return 3 if step.get("add_prefix_space", True) else 2  # each byte as a character of up to two


def num_bytes(text):
    return len(text.encode("utf-8", "surrogatepass"))


GROWTH = {
    "normalizer": {
        "BertNormalizer": 3,  # spaces around Chinese characters
        **dict.fromkeys(("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt"), 1),  # once is enough
        **dict.fromkeys(("Strip", "StripAccents"), 1),
        "ByteLevel": 2,
        "Precompiled": precompiled,
        "Prepend": prepend,
        "Replace": replace,
    },
    "pre_tokenizer": {
        **dict.fromkeys(("BertPreTokenizer", "CharDelimiterSplit", "Digits", "Punctuation"), 1),
        **dict.fromkeys(("UnicodeScripts", "Whitespace", "WhitespaceSplit"), 1),
        "ByteLevel": byte_level,
        "FixedLength": fixed_length,
        "Metaspace": 4,  # a character of three bytes before each piece
        "Split": split,
    },
    "decoder": {
        **dict.fromkeys(("BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse"), 1),
        **dict.fromkeys(("Metaspace", "Strip", "WordPiece"), 1),
        "Replace": replace,
    },
}
