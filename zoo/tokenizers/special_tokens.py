"""The roles that a task's special tokens play: which id starts a text, which ones end it."""

import dataclasses

import numpy as np

# The conventional names of each role, the most specific first.
NAMES = {
    "start": (
        *("[CLS]", "<s>", "<bos>", "<sos>"),
        *("<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>"),
    ),
    "end": ("<|endoftext|>", "</s>", "[SEP]", "<eos>", "<|end_of_text|>", "<|im_end|>"),
    "padding": ("[PAD]", "<pad>", "<|pad|>"),
    "mask": ("[MASK]", "<mask>"),
    "unknown": ("[UNK]", "<unk>"),
}
SEVERAL = ("stop", "source_end", "never")  # roles of any number of tokens


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """Ids of special tokens by what they are for; None where a task has no such token.

    A tokenizer turns text into ids; what stands around them is the task's to say. Models of one
    vocabulary differ in this: BART's decoder starts from its end token, a chat model stops at any
    of several tokens.

    Args:
        start: int, before a text.
        stop: an int or several: each ends what is generated, and the first is `end`, which is
            written where a text ends.
        separator: int, between two texts of a row, and after the last; None for `end`.
        padding: int, what fills rows up; None for 0. A mask hides it, so that any id will do.
        mask: int, in the place of a token that is to be found.
        decoder_start: int, what an encoder-decoder's targets start from; None for `start`, or
            where there is none, for `end`.
        unknown: int, in the place of what has no token.
        source_start: int, before every source; None for `start`, where a task puts one there.
        source_end: an int or several, after a source; none for `end`. mBART puts its language
            there.
        target_start: int, what every target begins with after `decoder_start`, such as its
            language; it is not drawn.
        never: an int or several that are never generated, such as Marian's padding.

    Raises:
        TypeError: an id that is no whole number.
        ValueError: an id below 0.
    """

    start: int | None = None
    stop: tuple[int, ...] = ()
    separator: int | None = None
    padding: int | None = None
    mask: int | None = None
    decoder_start: int | None = None
    unknown: int | None = None
    source_start: int | None = None
    source_end: tuple[int, ...] = ()
    target_start: int | None = None
    never: tuple[int, ...] = ()

    def __post_init__(self):
        for role in SEVERAL:
            ids = getattr(self, role)
            ids = () if ids is None else ids
            if isinstance(ids, (str, float)):
                raise TypeError(f"The {role} token must be an id, an int; got {ids!r}.")
            ids = (ids,) if isinstance(ids, (int, np.integer)) else tuple(ids)
            object.__setattr__(self, role, ids)
        for role, token_id in self._ids():
            if not isinstance(token_id, (int, np.integer)) or isinstance(token_id, bool):
                raise TypeError(f"The {role} token must be an id, an int; got {token_id!r}.")
            if token_id < 0:
                raise ValueError(f"The {role} token must be an id of at least 0; got {token_id}.")

    @classmethod
    def of(cls, tokenizer):
        """Those of a tokenizer, by the conventional names of its special tokens."""
        if tokenizer is None:
            return cls()
        ids = tokenizer.special_ids
        found = {
            role: next((ids[name] for name in names if name in ids), None)
            for role, names in NAMES.items()
        }
        end = found.pop("end")
        return cls(stop=() if end is None else (end,), **found)

    @property
    def end(self):
        """The id that is written where a text ends; None without one."""
        return self.stop[0] if self.stop else None

    @property
    def between(self):
        """The id that separates texts: `separator`, or else `end`."""
        return self.end if self.separator is None else self.separator

    @property
    def before_target(self):
        """The id that targets start from: `decoder_start`, or else `start`, or else `end`."""
        ids = self.decoder_start, self.start, self.end
        return next((token_id for token_id in ids if token_id is not None), None)

    @property
    def before_source(self):
        """The id before a source: `source_start`, or else `start`, or else `before_target`."""
        ids = self.source_start, self.start, self.before_target
        return next((token_id for token_id in ids if token_id is not None), None)

    @property
    def after_source(self):
        """The ids after a source, a tuple: `source_end`, or else `end`."""
        return self.source_end or self.stop[:1]

    @property
    def target_prefix(self):
        """The ids that stand before what is written of a target, a list."""
        ids = self.before_target, self.target_start
        return [token_id for token_id in ids if token_id is not None]

    @property
    def num_given(self):
        """How many tokens of a target are given beyond the one that it starts from."""
        return max(len(self.target_prefix) - 1, 0)

    def require(self, role, purpose):
        """The id of a role; raises ValueError that says what it is needed for.

        Args:
            role: the name of a field, or `"end"`, `"between"`, `"before_target"`.
            purpose: str, such as "Generating from an empty prompt".
        """
        token_id = getattr(self, role)
        if token_id is None:
            name = {"end": "stop", "between": "separator", "before_target": "decoder_start"}
            field = name.get(role, role)
            raise ValueError(
                f"{purpose} needs a {field} token, and the tokenizer has none by a usual name. "
                f"Say which id it is: special_tokens=SpecialTokens({field}=...)."
            )
        return token_id

    def check(self, vocab_size):
        """Raise ValueError for an id that a vocabulary does not have."""
        for role, token_id in self._ids():
            if token_id >= vocab_size:
                raise ValueError(
                    f"The {role} token must be from 0 to {vocab_size - 1}, the model's "
                    f"vocabulary; got {token_id}."
                )

    def _ids(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for token_id in value if field.name in SEVERAL else [value]:
                if field.name in SEVERAL or token_id is not None:
                    yield field.name, token_id

    def get_config(self):
        """Those that are there, as a dict for JSON."""
        there = {name: value for name, value in vars(self).items() if value not in (None, ())}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in there.items()}
