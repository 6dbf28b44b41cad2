"""Tokenizers: byte-level BPE, WordPiece and Unigram, on the `tokenizers` library.

    tokenizer = BytePairTokenizer.train(texts, vocab_size=8192)
    ids = tokenizer.encode("Hello there")   # a list of ints; of several texts, a list of lists
    tokenizer.decode(ids)                   # "Hello there"
    tokenizer.save("runs/mine")             # runs/mine/tokenizer.json
    Tokenizer.load("runs/mine")

Text is only text: `"<|endoftext|>"` typed by a user is split like any other characters, on every
path. A separator is put between documents as an id (`tokenizer.end_id`), not as text. Whoever
trusts the text can ask for the other reading with `encode(text, allow_special=True)`.
"""

import functools
import json
import os
import warnings
from typing import Any, Self

import keras
import numpy as np
import tokenizers

from zoo.checks import file_path, require_flag, shown
from zoo.files import write_atomically
from zoo.tokenizers import checks
from zoo.tokenizers.engine import build_engine, failing_step, library_errors
from zoo.tokenizers.first_token import first_token
from zoo.tokenizers.special_tokens import SpecialTokens
from zoo.tokenizers.streaming import StreamDecoder
from zoo.tokenizers.texts import as_texts, text_error

FILE_NAME = "tokenizer.json"
MUCH_UNKNOWN = 0.25  # the share of unknown tokens from which on there is a warning
MANY_UNKNOWN = 4  # tokens: a name or two may well be unknown


@keras.saving.register_keras_serializable("zoo")
class Tokenizer:
    """Text to token ids and back.

    Args:
        json: contents of a `tokenizer.json`; usually from `load` or a subclass's `train`.
        source: str, what errors call that file.

    Attributes:
        kind: the model, `"BPE"`, `"WordPiece"` or `"Unigram"`.
        vocab_size: number of ids, special tokens included; ids are `0..vocab_size - 1`.
        special_ids: `{name: id}` of the special tokens.
        start_id, end_id, pad_id, mask_id, unknown_id: ids of the special tokens that have these
            roles by conventional names, or None. `pad_id` falls back to `end_id`.
        first_id: the id that its file puts before each text, or None. `encode` does not: tasks do.
        is_byte_level: whether ids spell UTF-8 bytes, so that any text survives a round trip.

    Raises:
        ValueError: the contents are not a sound tokenizer; see `zoo.tokenizers.checks`.
    """

    model_type = None  # of the subclasses: the model type of their files
    OF_TARGETS = tuple(sorted(checks.OF_TARGETS))

    def __init__(self, json: str, source: str = FILE_NAME) -> None:
        contents = checks.parse(json, source)
        kind = contents["model"].get("type", "BPE")
        if self.model_type not in (None, kind):
            raise ValueError(
                f"{type(self).__name__} holds a {self.model_type} model; got {kind}. "
                "Use Tokenizer.load or Tokenizer.from_json."
            )
        self.kind, self.source, self._has_warned = kind, source, False
        self._json = json
        self._own_json = own_part(json, contents)
        self._engine = build_engine(self._own_json, source)
        added = self._engine.get_added_tokens_decoder()
        self.special_ids = {added[i].content: i for i in sorted(added) if added[i].special}
        self.vocab_size = self._engine.get_vocab_size()
        self.is_byte_level = isinstance(self._engine.decoder, tokenizers.decoders.ByteLevel)
        roles = SpecialTokens.of(self)
        self.start_id, self.end_id, self.mask_id = roles.start, roles.end, roles.mask
        self.pad_id = roles.end if roles.padding is None else roles.padding
        self.unknown_id = roles.unknown
        self.first_id = first_token(contents)

    # Loading and saving

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a `tokenizer.json`, or the one in a folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged or unsafe.
        """
        path = file_path(path, "A tokenizer")
        file = path / FILE_NAME if path.is_dir() else path
        if not file.is_file():
            raise FileNotFoundError(
                f"No tokenizer at {str(path)!r}: it must be a {FILE_NAME} or a folder with one."
            )
        size = file.stat().st_size
        if size > checks.MAX_BYTES:
            raise ValueError(f"{file} must be at most {checks.MAX_BYTES} bytes; got {size}.")
        try:
            return cls(file.read_text(encoding="utf-8"), source=str(file))
        except UnicodeDecodeError:
            raise ValueError(f"{file} must be UTF-8 JSON; it is damaged. Fetch it again.") from None

    @classmethod
    def from_json(cls, json: str) -> Self:
        """A tokenizer from the contents of a `tokenizer.json` (a str)."""
        return cls(json)

    def to_json(self) -> str:
        """The contents of its `tokenizer.json`, as one str: those it was made from."""
        return self._json

    def save(self, path: str | os.PathLike) -> None:
        """Write `path` if it ends in `.json`, else `path/tokenizer.json`; atomically."""
        path = file_path(path, "A tokenizer")
        file = path if path.suffix == ".json" else path / FILE_NAME
        write_atomically(file, self.to_json())

    def get_config(self) -> dict:
        return {"json": self.to_json()}

    @classmethod
    def from_config(cls, config: dict) -> Self:
        return cls.from_json(config["json"])

    def __reduce__(self):
        return type(self), (self.to_json(),)

    def __eq__(self, other):
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return self._json == other._json or json.loads(self._json) == json.loads(other._json)

    def __hash__(self):
        return hash((self.vocab_size, tuple(self.special_ids)))

    def __repr__(self):
        return f"<{type(self).__name__} {self.kind}, vocab_size={self.vocab_size}>"

    # Encoding and decoding

    def encode(self, text: Any, allow_special: bool = False) -> list:
        """Token ids of a text, or of each of several texts in one call.

        No start, end or padding ids are added, and nothing is truncated.

        Args:
            text: a str, or a list, tuple or 1-d array of str.
            allow_special: read the names of special tokens within the text as those tokens. Only
                for text you wrote yourself.

        Returns:
            A list of ints, or a list of lists of ints.

        Raises:
            TypeError: not text.
            ValueError: text with lone surrogates, which is not valid Unicode; text that a step of
                the tokenizer's file cannot take.
        """
        return self._encode(text, allow_special, lambda encoding: encoding.ids)

    def encode_with_offsets(self, text: Any, allow_special: bool = False) -> Any:
        """As `encode`, with the characters of `text` that each token stands for.

        Returns:
            `(ids, offsets)`, or a list of such pairs: `text[start:end]` of each `(start, end)` in
            `offsets` is the token's text, a leading space included. Tokens that are parts of one
            character share its offsets.
        """
        return self._encode(
            text, allow_special, lambda encoding: (encoding.ids, encoding.offsets), offsets=True
        )

    def encode_with_words(self, text: Any) -> Any:
        """As `encode_with_offsets`, with the word that each token belongs to.

        Words are what the pre-tokeniser makes of a text: BERT's are runs of letters and digits, and
        single punctuation marks.

        Returns:
            `(ids, offsets, words)`, or a list of such: `words` counts from 0.
        """
        return self._encode(text, False, lambda e: (e.ids, e.offsets, e.word_ids), offsets=True)

    def _encode(self, text, allow_special, result, offsets=False):
        require_flag("allow_special", allow_special)
        single = isinstance(text, str)
        texts = [text] if single else as_texts(text)
        engine = self._special_engine if allow_special else self._engine
        encode_batch = engine.encode_batch if offsets else engine.encode_batch_fast
        try:
            with library_errors(f"{self.source} cannot encode this text"):
                results = [result(e) for e in encode_batch(texts, add_special_tokens=False)]
        except (TypeError, UnicodeError):
            raise text_error(texts) from None
        except ValueError as error:
            raise ValueError(f"{error} Its {failing_step(engine, texts)} fails.") from None
        return results[0] if single else results

    @functools.cached_property
    def _special_engine(self):
        engine = build_engine(self._own_json, self.source)
        engine.encode_special_tokens = False
        return engine

    @functools.cached_property
    def for_targets(self):
        """The tokenizer that encodes targets: itself, unless its file has another for them.

        Marian has a model of each language, over one vocabulary: `"targets"` in a tokenizer.json
        stands in the place of its own parts.
        """
        contents = json.loads(self._json)
        targets = contents.pop("targets", None)
        if targets is None:
            return self
        return type(self)(json.dumps(contents | targets, ensure_ascii=False), self.source)

    def decode(self, ids: Any, skip_special: bool = True) -> str | list[str]:
        """Text of token ids, or of each of several rows of ids in one call.

        Args:
            ids: a list, array or tensor of ints, 1-d; or 2-d, or a list of such.
            skip_special: leave special tokens out of the text.

        Returns:
            A str, or a list of str. Ids of a byte-level tokenizer that do not spell valid UTF-8
            give U+FFFD there.

        Raises:
            TypeError: ids that are not integers.
            ValueError: an id outside the vocabulary.
        """
        require_flag("skip_special", skip_special)
        if keras.ops.is_tensor(ids):
            ids = keras.ops.convert_to_numpy(ids)
        if isinstance(ids, (str, bytes)) or not hasattr(ids, "__len__"):
            raise TypeError(f"decode takes a list of token ids, or of rows of them; got {ids!r}.")
        if len(ids) and (keras.ops.is_tensor(ids[0]) or hasattr(ids[0], "__len__")):
            rows = [self.check_ids(row) for row in ids]
            with self._decoding():
                return self._engine.decode_batch(rows, skip_special_tokens=skip_special)
        ids = self.check_ids(ids)
        with self._decoding():
            return self._engine.decode(ids, skip_special_tokens=skip_special)

    def _decoding(self):
        return library_errors(f"{self.source} cannot decode these ids: its decoder fails")

    def stream_decoder(self, skip_special: bool = True) -> StreamDecoder:
        """A `StreamDecoder`: ids in one by one, pieces of text out."""
        require_flag("skip_special", skip_special)
        return StreamDecoder(self, skip_special)

    def check_ids(self, ids: Any) -> list[int]:
        """`ids` as a list of ints. Raises as `decode` does."""
        if keras.ops.is_tensor(ids):
            ids = keras.ops.convert_to_numpy(ids)
        array = np.asarray(ids)
        if array.size == 0:
            return []
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise TypeError(
                f"Token ids must be integers in rows; got {array.dtype} of shape {array.shape}."
            )
        outside = np.flatnonzero((array < 0) | (array >= self.vocab_size))
        if outside.size:
            raise ValueError(
                f"Token ids must be within 0..{self.vocab_size - 1}; "
                f"got {array[outside[0]]} at position {outside[0]}."
            )
        return array.tolist()

    def unknown_share(self, rows: Any) -> float:
        """Share of the unknown token in rows of ids, from 0 to 1; 0 without such a token."""
        total = sum(map(len, rows))
        if self.unknown_id is None or not total:
            return 0.0
        return sum(list(row).count(self.unknown_id) for row in rows) / total

    def warn_of_unknown(self, rows: Any, stacklevel: int = 1) -> None:
        """Warn, once for a tokenizer, if a quarter or more of encoded texts is unknown to it.

        Args:
            rows: the ids of the texts.
            stacklevel: that of `warnings.warn`, counted from the caller.
        """
        if self._has_warned or (share := self.unknown_share(rows)) < MUCH_UNKNOWN:
            return
        if share * sum(map(len, rows)) < MANY_UNKNOWN:
            return
        self._has_warned = True
        warnings.warn(
            f"{share:.0%} of the tokens of these texts are unknown to the tokenizer, so that the "
            "model sees little of them. Use a model that knows their language.",
            stacklevel=stacklevel + 1,
        )

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as it is spelled in the vocabulary, or None."""
        if not isinstance(token, str):
            raise TypeError(f"token must be a str; got {shown(token)}.")
        return self._engine.token_to_id(token)

    def id_to_token(self, token_id: int) -> str:
        """A token as it is spelled in the vocabulary: bytes as GPT-2's stand-in characters."""
        (token_id,) = self.check_ids([token_id])
        return self._engine.id_to_token(token_id)


def own_part(text, contents):
    """A tokenizer.json as the library knows it, without what is for targets."""
    if "targets" not in contents:
        return text
    own = {name: part for name, part in contents.items() if name != "targets"}
    return json.dumps(own, ensure_ascii=False)
