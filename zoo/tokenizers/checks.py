"""What a `tokenizer.json` must satisfy before it reaches the `tokenizers` library.

The file may come from anybody. The library accepts duplicate and far-apart ids, and sizes that it
then allocates until the process is killed; here each is one clear `ValueError`.
"""

import collections
import json
import math

from zoo.tokenizers.steps import check_steps

MAX_BYTES = 64 * 2**20  # the largest published tokenizers are about half of this
MAX_ENTRIES = 2**22  # of lists and objects, twice that of the largest published tokenizers
MAX_ADDED = 2**21  # characters of all added tokens, which are made into one automaton
MAX_UNIGRAM = 3 * 2**22  # characters of a Unigram vocabulary, which takes 100 bytes for each
MAX_WORD = 1000  # characters of a word: WordPiece tries all its parts
MODELS = ("BPE", "WordPiece", "Unigram")
OF_TARGETS = {"normalizer", "pre_tokenizer", "model"}


def parse(text, source="tokenizer.json"):
    """The checked contents of a tokenizer file.

    Args:
        text: the file's text.
        source: what to call the file in errors.

    Returns:
        A dict.

    Raises:
        TypeError: not text.
        ValueError: too large, not JSON, an unknown model, ids that are not 0..n-1 each used once,
            merges of tokens outside the vocabulary, or steps that are unknown or blow up a text.
    """
    if not isinstance(text, str):
        raise TypeError(f"A tokenizer is made of a JSON text, a str; got {type(text).__name__}.")
    data = read_json(text, source)
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise ValueError(f"{source} must be a JSON object with a 'model' object.")
    check_model(data, source)
    if "targets" in data:
        check_targets(data, source)
    return data


def check_targets(data, source):
    """The same of what stands in the place of a file's own parts where targets are encoded."""
    targets = data["targets"]
    if not isinstance(targets, dict) or not {"model"} <= targets.keys() <= OF_TARGETS:
        raise ValueError(
            f"{source}: targets must have a 'model', and may have {', '.join(sorted(OF_TARGETS))}; "
            f"got {str(targets)[:80]}."
        )
    if not isinstance(targets["model"], dict):
        raise ValueError(f"{source}: the model of targets must be an object.")
    check_model({**data, **targets}, f"{source}: targets")
    sizes = [len(part["model"].get("vocab") or ()) for part in (data, targets)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"{source}: sources and targets must have one vocabulary; got {sizes[0]} and "
            f"{sizes[1]} tokens."
        )


def check_model(data, source):
    # The oldest files leave out the type of a BPE model.
    kind = data["model"].get("type", "BPE")
    if kind not in MODELS:
        raise ValueError(
            f"{source}: model type must be one of {', '.join(MODELS)}; got {str(kind)[:80]!r}."
        )
    vocabulary = model_vocabulary(data["model"], kind, source)
    check_ids(vocabulary, data.get("added_tokens") or [], source)
    if kind == "BPE":
        check_dropout(data["model"], source)
        check_merges(data["model"], vocabulary, source)
    if kind == "WordPiece":
        check_word_piece(data["model"], vocabulary, source)
    check_steps(data, source)


def read_json(text, source):
    """The contents of a JSON text whose size, and the memory that it takes, are bounded."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"{source} must be at most {MAX_BYTES} bytes; got {len(text)}.")
    entries = sum(map(text.count, "[{,"))
    if entries > MAX_ENTRIES:
        raise ValueError(f"{source} may have at most {MAX_ENTRIES} entries; got {entries}.")
    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{source} must be valid JSON; it is damaged or cut short ({error}). Fetch it again."
        ) from None


def without_repeats(pairs):
    """An object's dict. Of a key that stands there twice, readers take the one or the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:80]!r} occurs twice")
    return found


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
        size = sum(len(token) for token, _ in vocab)
        if size > MAX_UNIGRAM:
            raise ValueError(
                f"{source}: a Unigram vocab may have at most {MAX_UNIGRAM} characters in all; "
                f"got {size}."
            )
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
    size = sum(len(token) for token, _ in tokens[len(vocabulary) :])
    if size > MAX_ADDED:
        raise ValueError(
            f"{source}: added_tokens may have at most {MAX_ADDED} characters in all; got {size}."
        )
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


def check_dropout(model, source):
    if model.get("dropout"):
        raise ValueError(
            f"{source}: dropout must be null, or else a text has other ids each time; got "
            f"{str(model['dropout'])[:80]}. Set it to null for ids that do not change."
        )


def check_word_piece(model, vocabulary, source):
    unknown, longest = model.get("unk_token", "[UNK]"), model.get("max_input_chars_per_word", 100)
    if not (isinstance(unknown, str) and unknown in vocabulary):
        raise ValueError(f"{source}: the unknown token of WordPiece must be in its vocabulary.")
    if not is_int(longest) or not 0 <= longest <= MAX_WORD:
        raise ValueError(
            f"{source}: max_input_chars_per_word must be from 0 to {MAX_WORD}; got "
            f"{str(longest)[:80]}."
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


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return is_int(value) or (isinstance(value, float) and math.isfinite(value))
