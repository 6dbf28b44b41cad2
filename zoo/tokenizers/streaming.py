"""Token ids to text one by one, for showing a generation as it grows."""

import codecs
from typing import Any

from zoo.checks import require_flag, shown

REPLACEMENT = "\ufffd"


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes, `{character: byte}`.

    Radford et al., 2019, "Language Models are Unsupervised Multitask Learners": printable Latin-1
    bytes stand for themselves, the others take the code points from 256 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + i): byte for i, byte in enumerate(others)
    }


BYTE_OF = byte_alphabet()


class StreamDecoder:
    """Decode ids fed one at a time; the pieces add up to `tokenizer.decode(all_ids)`.

    A piece never ends within a UTF-8 character: bytes wait until the character is whole. U+FFFD
    appears only where the ids really spell invalid UTF-8.

    Args:
        tokenizer: a `Tokenizer`.
        skip_special: leave special tokens out of the text.

    Example:
        stream = tokenizer.stream_decoder()
        for token_id in ids:
            print(stream.put(token_id), end="")
        print(stream.flush())
    """

    def __init__(self, tokenizer: Any, skip_special: bool = True) -> None:
        if not hasattr(tokenizer, "special_ids"):
            raise TypeError(
                f"tokenizer must be a zoo.tokenizers.Tokenizer; got {shown(tokenizer)}."
            )
        require_flag("skip_special", skip_special)
        self.tokenizer = tokenizer
        self.skipped = frozenset(tokenizer.special_ids.values()) if skip_special else frozenset()
        self._reset()

    def put(self, token_id: int) -> str:
        """Text that `token_id` (an int) completes, possibly empty. Raises as `decode` does."""
        (token_id,) = self.tokenizer.check_ids([token_id])
        if token_id in self.skipped:
            return ""
        if self.tokenizer.is_byte_level:
            return self._utf8.decode(token_bytes(self.tokenizer.id_to_token(token_id)))
        self._ids.append(token_id)
        text = self._window_text(self._ids)
        if text.endswith(REPLACEMENT):  # perhaps a character whose other bytes are yet to come
            return ""
        return self._emit(text)

    def flush(self) -> str:
        """The text still held back, and start over."""
        if self.tokenizer.is_byte_level:
            text = self._utf8.decode(b"", final=True)
        else:
            text = self._emit(self._window_text(self._ids))
        self._reset()
        return text

    def _reset(self):
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        # How a token reads depends on its left neighbour: keep those already shown as context.
        self._ids, self._shown = [], 0

    def _window_text(self, ids):
        return self.tokenizer.decode(ids, skip_special=False) if ids else ""

    def _emit(self, text):
        piece = text[len(self._window_text(self._ids[: self._shown])) :]
        self._ids = self._ids[self._shown :]
        self._shown = len(self._ids)
        return piece


def token_bytes(token):
    """Bytes of a byte-level token; a token with any other character stands for itself."""
    try:
        return bytes(BYTE_OF[character] for character in token)
    except KeyError:
        return token.encode("utf-8")
