"""What a `tokenizer.json` must satisfy before it reaches the `tokenizers` library.

The file may come from anybody. The library accepts duplicate and far-apart ids, and replacements
that multiply a text's length until the process is killed; here each is one clear `ValueError`.
"""

import json
import math

MAX_BYTES = 64 * 2**20  # the largest published tokenizers are about half of this
MAX_GROWTH = 16  # how many times longer normalisers may make a text
MODELS = ("BPE", "WordPiece", "Unigram")
NESTED = ("normalizer", "normalizers", "pre_tokenizer", "pretokenizers", "decoder", "decoders")


def parse(text, source="tokenizer.json"):
    """The checked contents of a tokenizer file.

    Args:
        text: the file's text.
        source: what to call the file in errors.

    Returns:
        A dict.

    Raises:
        ValueError: too large, not JSON, an unknown model, ids that are not 0..n-1 each used once,
            merges of tokens outside the vocabulary, or normalisers that blow up a text.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"{source} must be at most {MAX_BYTES} bytes; got {len(text)}.")
    try:
        data = json.loads(text)
        steps = nested_steps(data)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{source} must be valid JSON; it is damaged or cut short ({error}). Fetch it again."
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise ValueError(f"{source} must be a JSON object with a 'model' object.")
    # The oldest files leave out the type of a BPE model.
    kind = data["model"].get("type", "BPE")
    if kind not in MODELS:
        raise ValueError(f"{source}: model type must be one of {', '.join(MODELS)}; got {kind!r}.")
    vocabulary = model_vocabulary(data["model"], kind, source)
    check_ids(vocabulary, data.get("added_tokens") or [], source)
    if kind == "BPE":
        check_merges(data["model"], vocabulary, source)
    unknown = data["model"].get("unk_token", "[UNK]")
    if kind == "WordPiece" and not (isinstance(unknown, str) and unknown in vocabulary):
        raise ValueError(f"{source}: the unknown token of WordPiece must be in its vocabulary.")
    check_growth(steps, source)
    return data


def model_vocabulary(model, kind, source):
    """`{token: id}` of a model, whatever its format."""
    vocab = model.get("vocab")
    if kind == "Unigram":
        rows_ok = isinstance(vocab, list) and all(
            isinstance(row, list)
            and len(row) == 2
            and isinstance(row[0], str)
            and is_number(row[1])
            for row in vocab
        )
        if not rows_ok:
            raise ValueError(f"{source}: a Unigram vocab must be a list of [token, finite score].")
        if len({token for token, _ in vocab}) < len(vocab):
            raise ValueError(f"{source}: each token of a Unigram vocab must occur once.")
        unknown = model.get("unk_id")
        if unknown is not None and not (is_int(unknown) and 0 <= unknown < len(vocab)):
            raise ValueError(f"{source}: unk_id must be an id of the vocab; got {unknown!r}.")
        return {token: i for i, (token, _) in enumerate(vocab)}
    if not isinstance(vocab, dict) or not all(is_int(i) for i in vocab.values()):
        raise ValueError(f"{source}: the model's vocab must map tokens to integer ids.")
    return vocab


def check_ids(vocabulary, added, source):
    """Together, vocabulary and added tokens must use each of 0..n-1 for exactly one token."""
    owner = {}
    tokens = list(vocabulary.items())
    if not isinstance(added, list):
        raise ValueError(f"{source}: added_tokens must be a list.")
    for entry in added:
        fields_ok = isinstance(entry, dict) and is_int(entry.get("id"))
        if not fields_ok or not isinstance(entry.get("content"), str) or not entry["content"]:
            raise ValueError(
                f"{source}: an added token must have an integer 'id' and text 'content'; "
                f"got {str(entry)[:80]}."
            )
        tokens.append((entry["content"], entry["id"]))
    for token, i in tokens:
        if owner.setdefault(i, token) != token:
            raise ValueError(f"{source}: id {i} is given to both {owner[i]!r} and {token!r}.")
    if not owner:
        raise ValueError(f"{source}: the vocabulary must not be empty.")
    if len(owner) != len(dict.fromkeys(token for token, _ in tokens)):
        raise ValueError(f"{source}: a token is given two different ids.")
    if min(owner) != 0 or max(owner) != len(owner) - 1:
        raise ValueError(
            f"{source}: {len(owner)} tokens must have the ids 0 to {len(owner) - 1}; "
            f"got ids from {min(owner)} to {max(owner)} with gaps."
        )


def check_merges(model, vocabulary, source):
    prefix = model.get("continuing_subword_prefix") or ""
    if not isinstance(prefix, str):
        raise ValueError(f"{source}: continuing_subword_prefix must be text; got {prefix!r}.")
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ValueError(f"{source}: a BPE model must have a list of merges.")
    for number, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(p, str) for p in pair)
        ):
            raise ValueError(
                f"{source}: merge {number} must be a pair of tokens; got {str(merge)[:80]!r}."
            )
        left, right = pair
        if not right.startswith(prefix):  # the library cuts it off unseen, and can crash on that
            raise ValueError(
                f"{source}: right token of merge {number} must start with the prefix {prefix!r}; "
                f"got {right[:80]!r}."
            )
        for token in (left, right, left + right.removeprefix(prefix)):
            if token not in vocabulary:
                raise ValueError(
                    f"{source}: merge {number} needs the token {token[:80]!r}, "
                    "which is not in the vocabulary."
                )


def check_growth(steps, source):
    """Refuse `Replace` steps that together could multiply a text's length many times."""
    growth = 1
    for step in steps:
        if step.get("type") != "Replace":
            continue
        content, pattern = step.get("content"), step.get("pattern")
        pattern_ok = isinstance(pattern, dict) and len(pattern) == 1
        literal = pattern.get("String") if pattern_ok else None
        if not isinstance(content, str) or not pattern_ok or literal == "":
            raise ValueError(f"{source}: a Replace must have a non-empty pattern and a content.")
        # A regular expression may match the empty string between any two characters.
        growth *= max(1, len(content) / len(literal) if literal else len(content) + 1)
    if growth > MAX_GROWTH:
        raise ValueError(
            f"{source}: its Replace steps may make a text at most {MAX_GROWTH} times longer; "
            f"these could reach {growth:.0f} times."
        )


def nested_steps(part):
    """Every step of the normaliser, pre-tokeniser and decoder, sequences flattened."""
    if isinstance(part, list):
        return [step for child in part for step in nested_steps(child)]
    if not isinstance(part, dict):
        return []
    return [part, *(step for name in NESTED for step in nested_steps(part.get(name)))]


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))
