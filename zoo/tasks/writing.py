"""What tasks that write text share: prompts and sources in, texts out, by a sampler of choice."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from zoo.data.sources import is_column, model_inputs, to_list
from zoo.data.texts import filled, is_missing
from zoo.generation import Beam, Decoder, Scored, generate, get_sampler, stream
from zoo.generation.checks import check_ids
from zoo.generation.readers import context_length
from zoo.generation.scores import cut as cut_scores
from zoo.generation.stopping import StopBuffer, cut_at_stop
from zoo.generation.usual import LENGTHS, check_usual, usual_room

BATCH_SIZE = 32


class WritingTask:
    """Encodes what there is to continue, has ids written, and decodes them.

    A subclass calls `start_writing` in its constructor. Its `sampler` and its `usual_request`, a
    dict of other arguments, are what `generate` uses by default; `compile` sets them.
    """

    def start_writing(self, sampler=None, request=None):
        """Make what `generate` needs; `sampler` is None for greedy."""
        self.sampler = get_sampler("greedy" if sampler is None else sampler)
        self.usual_request = check_usual(request or {})
        self.decoder = Decoder(self)

    def compile(self, *args, sampler=None, request=None, **kwargs):
        """As `keras.Model.compile`, with what `generate` does by default.

        Args:
            sampler: as for `generate`; None for the one that it has.
            request: a dict of other arguments of `generate`, such as `{"max_new_tokens": 20,
                "no_repeat_ngram_size": 3}`; {} for none, None for those that it has.
        """
        if sampler is not None:
            self.sampler = get_sampler(sampler)
        if request is not None:
            self.usual_request = check_usual(request)
        super().compile(*args, **kwargs)

    def get_config(self):
        defaults = {"sampler": dict(vars(self.sampler)), "request": dict(self.usual_request)}
        return {**super().get_config(), **defaults}

    def _shortened(self, request, rows, asked):
        """A request whose usual length has room behind the longest of rows; `asked` is a call's."""
        if asked is not None or not set(LENGTHS) & self.usual_request.keys():
            return request
        longest = max(map(len, rows), default=0)
        room = usual_room(self.usual_request, context_length(self.backbone), longest)
        most = min(request.max_new_tokens, room)
        return dataclasses.replace(request, max_new_tokens=most)

    def write(self, rows, request, is_text):
        """For each row of ids what follows it, `num_return` times.

        Returns:
            Texts or lists of ids; or pairs of such a one and its `Scores`.
        """
        found = generate(self.decoder, rows, request, self.tokenizer.decode if is_text else None)
        if not is_text or not rows:
            return found
        flat = [one for several in found for one in several]
        ids = [one[0] for one in flat] if request.return_scores else flat
        texts = [cut_at_stop(text, request.stop) for text in self.tokenizer.decode(ids)]
        if request.return_scores:
            texts = [(text, self._up_to(text, *one)) for text, one in zip(texts, flat, strict=True)]
        size = request.num_return
        return [texts[i : i + size] for i in range(0, len(texts), size)]

    def _up_to(self, text, ids, scores):
        """The `Scores` of the tokens that spell a text, which a stop string may have cut."""
        if self.tokenizer.decode(ids) == text:
            return scores
        length = next(n for n in range(len(ids) + 1) if text in self.tokenizer.decode(ids[:n]))
        return cut_scores(scores, length)

    def stream_row(self, row, request, is_text):
        """Yield what follows a row: pieces of text that are certain, or ids."""
        if isinstance(request.sampler, Beam):
            raise ValueError(
                "stream yields each token as it is chosen, but a beam search chooses at its end: "
                f"use generate, or another sampler than {request.sampler!r}."
            )
        token_ids = stream(self.decoder, row, request)
        return self._stream_text(token_ids, request.stop) if is_text else token_ids

    def _stream_text(self, token_ids, stop):
        pieces = self.tokenizer.stream_decoder()
        buffer = StopBuffer(stop)
        for token in token_ids:
            text = buffer.add(pieces.put(token))
            if text:
                yield text
            if buffer.stopped:
                return
        text = buffer.add(pieces.flush()) + buffer.flush()
        if text:
            yield text

    def as_rows(self, prompts, what, request):
        """Prompts as a list of texts or of lists of ids, whether just one came, and which it is."""
        prompts, is_single, is_text = as_batch(prompts, what)
        if request.stop and not is_text:
            raise ValueError(f"stop takes strings, so the {what} must be text; got token ids.")
        if is_text:
            self.require_tokenizer()
        else:
            prompts = [check_ids(ids, self.backbone.vocab_size, what) for ids in prompts]
        return prompts, is_single, is_text


def as_batch(prompts, what="prompt"):
    """Prompts as a list, whether there was just one, and whether they are text."""
    if isinstance(prompts, str):
        return [prompts], True, True
    if isinstance(prompts, Mapping):
        prompts = rows_of_encoding(prompts)
    if is_column(prompts):
        prompts = to_list(prompts)
        if all(isinstance(p, str) or is_missing(p) for p in prompts):
            return filled(prompts), False, True
        if all(isinstance(p, (int, np.integer)) and not isinstance(p, bool) for p in prompts):
            return [list(prompts)], True, False
        if all(isinstance(p, (list, tuple, np.ndarray)) for p in prompts):
            return [list(p) for p in prompts], False, False
    raise TypeError(
        f"A {what} must be a string, a list of strings, a list of token ids, or a list of such "
        f"lists; got {type(prompts).__name__}: {str(prompts)[:60]!r}."
    )


def with_starts(found, starts):
    """Each text or list of ids with what it continues; its scores, if any, as `Scored`."""

    def whole(start, one):
        if isinstance(one, tuple):
            output, scores = one
            return Scored(start + output, *scores)
        return start + one

    return [[whole(start, one) for one in few] for start, few in zip(starts, found, strict=True)]


def emptied(few):
    """Empty texts in the place of what was written from an empty source."""
    return [Scored("", [], [], [], 0.0) if isinstance(one, Scored) else "" for one in few]


def rows_of_encoding(encoding):
    """The rows of what tokenizers of transformers give, a dict of ids and masks, without padding.

    Anything else comes back as it is.
    """
    encoding = model_inputs(encoding)
    token_ids, mask = encoding.get("token_ids"), encoding.get("padding_mask")
    if token_ids is None:
        return encoding
    if mask is None or np.ndim(mask) != np.ndim(token_ids):
        return token_ids
    if np.ndim(mask) == 1:
        token_ids, mask = [token_ids], [mask]
    rows = zip(to_list(token_ids), to_list(mask), strict=True)
    return [[one for one, is_real in zip(*row, strict=True) if is_real] for row in rows]


def as_they_came(found, num_return, is_single):
    """A list for each text, without those lists that a caller did not ask for."""
    if num_return == 1:
        found = [one for (one,) in found]
    return found[0] if is_single else found
