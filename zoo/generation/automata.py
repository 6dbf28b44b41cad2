"""Automata over token ids: which tokens may come next, so that a text is as it is asked for.

A text is UTF-8 bytes, and a token some of them. An automaton over bytes reads all bytes of a token
from each of its states; the states that it gets to are one over tokens.
"""

import functools
from dataclasses import dataclass

import numpy as np

from zoo.tokenizers.streaming import token_bytes

DEAD = -1
MOST_ENTRIES = 2**28  # of a table, 1 GiB
BYTE_FALLBACK = 6  # characters of "<0xE2>"


@dataclass(frozen=True, eq=False)
class Automaton:
    """States of a text, and where each token leads.

    Attributes:
        following: int32 `(states, tokens)`, the state after a token, or -1 if it may not come.
            Texts start in state 0.
        accepts: bool `(states,)`, where a text may end.
    """

    following: np.ndarray
    accepts: np.ndarray

    @property
    def always_accepts(self):
        return bool(self.accepts.all())

    def table(self, num_choices, stop_ids):
        """`following` for so many tokens; those that end a text may come where it may end."""
        table = np.full((len(self.accepts), num_choices), DEAD, "int32")
        known = min(num_choices, self.following.shape[1])
        table[:, :known] = self.following[:, :known]
        states = np.arange(len(table), dtype="int32")
        for token in stop_ids:
            if token < num_choices:
                table[:, token] = np.where(self.accepts, states, DEAD)
        return table


def choices(tokenizer, texts):
    """The text is one of several."""
    texts = tuple(dict.fromkeys(texts))
    words = tuple(text.encode() for text in texts)
    return lifted(words, tokenizer, is_choice=True)


def avoided(tokenizer, texts):
    """None of several texts occurs, in whatever tokens."""
    return lifted(tuple(text.encode() for text in texts), tokenizer, is_choice=False)


@functools.lru_cache(maxsize=4)
def lifted(words, tokenizer, is_choice):
    byte_table, accepts = (trie if is_choice else searcher)(words)
    return over_tokens(byte_table, accepts, bytes_of_tokens(tokenizer), words)


def trie(words):
    """`(table, accepts)` of the bytes that spell one of the words."""
    table, accepts = [[DEAD] * 256], [False]
    for word in words:
        state = 0
        for byte in word:
            if table[state][byte] == DEAD:
                table[state][byte] = len(table)
                table.append([DEAD] * 256)
                accepts.append(False)
            state = table[state][byte]
        accepts[state] = True
    return np.array(table, "int32"), np.array(accepts)


def searcher(words):
    """`(table, accepts)` of bytes in which no word occurs.

    Aho and Corasick, 1975, "Efficient string matching".
    """
    table, is_word = trie(words)
    queue = [0]
    fall = np.zeros(len(table), "int32")  # the longest end of a state's bytes that starts a word
    for state in queue:
        is_word[state] |= is_word[fall[state]]
        for byte in range(256):
            child = table[state, byte]
            back = table[fall[state], byte] if state else 0
            if child == DEAD:
                table[state, byte] = back
            else:
                fall[child] = back
                queue.append(child)
    table[is_word[table]] = DEAD
    return table, np.ones(len(table), bool)


def over_tokens(byte_table, accepts, spelled, what):
    """An `Automaton` over tokens, from one over bytes.

    Args:
        byte_table: int32 `(states, 256)`.
        accepts: bool `(states,)`.
        spelled: a list with each token's bytes, or None for one without a text.
        what: for the error, what no tokens can spell.
    """
    check_size(len(byte_table) * len(spelled), what)
    padded = np.vstack([byte_table, np.full((1, 256), DEAD, "int32")])  # -1 reads the last row
    following = np.full((len(byte_table), len(spelled)), DEAD, "int32")
    for length in {len(text) for text in spelled if text}:
        ids = [i for i, text in enumerate(spelled) if text and len(text) == length]
        letters = np.frombuffer(b"".join(spelled[i] for i in ids), "uint8").reshape(-1, length)
        states = np.tile(np.arange(len(byte_table))[:, None], (1, len(ids)))
        for place in range(length):
            states = padded[states, letters[:, place]]
        following[:, ids] = states
    return pruned(following, accepts, what)


def pruned(following, accepts, what):
    """An `Automaton` that never gets to where it cannot reach an end."""
    leads = accepts.copy()
    while True:
        alive = leads | (leads[following] & (following != DEAD)).any(axis=1)
        if (alive == leads).all():
            break
        leads = alive
    if not leads[0]:
        raise ValueError(f"No tokens of this model's vocabulary spell {str(what)[:80]}.")
    following[~leads[following] & (following != DEAD)] = DEAD
    return Automaton(following, accepts)


@functools.lru_cache(maxsize=4)
def regex(tokenizer, pattern):
    """The whole text matches a regular expression, one of the Rust crate `regex`.

    Willard and Louf, 2023, "Efficient Guided Generation for Large Language Models",
    https://arxiv.org/abs/2307.09702
    """
    try:
        import outlines_core
    except ImportError:
        raise ImportError(
            "regex= needs outlines-core, which is not installed: pip install "
            "keras-zoo[constrained]."
        ) from None
    ids = {}
    spelled = bytes_of_tokens(tokenizer)
    for i, text in enumerate(spelled):
        if text:
            ids.setdefault(text, []).append(i)
    try:
        index = outlines_core.Index(pattern, outlines_core.Vocabulary(len(spelled), ids))
    except ValueError as error:
        reason = str(error)
        if "incompatible" in reason:
            message = f"No tokens of this model's vocabulary can match the regex {pattern!r}."
        else:
            message = f"regex must be a regular expression without lookaround; got {pattern!r}."
        raise ValueError(message) from error
    transitions, finals = index.get_transitions(), index.get_final_states()
    places = dict.fromkeys((index.get_initial_state(), *transitions, *sorted(finals)))
    places = {state: place for place, state in enumerate(places)}
    check_size(len(places) * len(spelled), pattern)
    following = np.full((len(places), len(spelled)), DEAD, "int32")
    for state, reached in transitions.items():
        reached = {token: after for token, after in reached.items() if token < len(spelled)}
        after = [places[state] for state in reached.values()]
        following[places[state], list(reached)] = after
    return pruned(following, np.array([state in finals for state in places]), repr(pattern))


def check_size(entries, what):
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"{str(what)[:80]} needs a table of {entries:,} states and tokens; it must have at "
            f"most {MOST_ENTRIES:,}. Ask for something simpler."
        )


def bytes_of_tokens(tokenizer):
    """A list with each token's bytes; None for special tokens, which are no text.

    Raises:
        ValueError: a tokenizer whose tokens read differently beside one another.
    """
    special = set(tokenizer.special_ids.values())
    spell = spelling_of(tokenizer)
    return [
        None if i in special else spell(tokenizer.id_to_token(i))
        for i in range(tokenizer.vocab_size)
    ]


def spelling_of(tokenizer):
    """The function from a token to its bytes."""
    if tokenizer.is_byte_level:
        return token_bytes
    if tokenizer.kind in ("BPE", "Unigram") and "\u2581" in tokenizer.to_json():
        return metaspace_bytes
    raise ValueError(
        "choices, regex and bad words that are texts need a tokenizer whose tokens spell bytes, "
        f"byte-level or SentencePiece; got {tokenizer!r}. Pass bad_words as lists of token ids."
    )


def metaspace_bytes(token):
    """Bytes of a SentencePiece token."""
    if len(token) == BYTE_FALLBACK and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()
