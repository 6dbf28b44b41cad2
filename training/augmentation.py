"""Labelled texts, changed anew in every epoch.

    change = EasyChanges(rate=0.1)
    model.fit(Augmented(model, texts, labels, change, share=0.5), epochs=4)

A change is a function of a list of texts and an `np.random.Generator`; it gives as many texts, in
their order. Beside the ones here, any such function will do. What takes long, such as translating
there and back, may be done once: `model.fit(texts + change(texts, rng), labels + labels)`.
"""

import numpy as np

from zoo.backends.buckets import bucket
from zoo.data.batches import Batches
from zoo.data.rows import RowFormat
from zoo.tasks.masked_lm import continuing_tokens


class Augmented(Batches):
    """The batches that a task's `fit` makes of labelled texts, some of them changed.

    Which texts are changed, and how, is drawn for each epoch.

    Args:
        model: a task over texts, such as `zoo.TextClassifier`.
        texts, labels: lists; labels None where the task has none.
        change: a function of `(texts, rng)`.
        share: float above 0 and at most 1, the chance of a text to be changed.
        batch_size: int.
        seed: int; None draws one.

    Raises:
        ValueError: a share out of its range, or a change that gives another number of texts.
    """

    def __init__(self, model, texts, labels, change, share=0.5, batch_size=32, seed=None):
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1; got {share!r}.")
        self.model = model
        self.texts, self.labels = list(texts), labels
        self.change = change
        self.share = share
        self.batch_size = batch_size
        super().__init__(seed)

    def plan(self, rng):
        texts = list(self.texts)
        chosen = np.flatnonzero(rng.random(len(texts)) < self.share)
        if len(chosen):
            changed = list(self.change([texts[place] for place in chosen], rng))
            if len(changed) != len(chosen):
                raise ValueError(
                    f"A change gives a text for each; got {len(changed)} for {len(chosen)}."
                )
            for place, text in zip(chosen, changed, strict=True):
                texts[place] = text
        examples = self.model.read_examples(texts, self.labels, training=True)
        seed = int(rng.integers(2**32))
        batches = self.model.make_batches(examples, self.batch_size, True, seed)
        return [(batches, index) for index in range(len(batches))]

    def make(self, planned):
        batches, index = planned
        return batches[index]


class EasyChanges:
    """One of four small changes to each text, which seldom alter what it says.

    Wei and Zou, 2019 (EDA), https://arxiv.org/abs/1901.11196: two words change places, words are
    left out, or words are replaced by similar ones, or such are put in. The last two need
    `similar`. Words are what stands between spaces; a text keeps at least one.

    Args:
        rate: float above 0 and below 1, the share of words that are changed, at least one.
        similar: `{word: [words]}` in lower case, as `neighbours` makes it; None for the first two
            changes alone.

    Call arguments:
        texts: a list of strings.
        rng: `np.random.Generator`.
    """

    def __init__(self, rate=0.1, similar=None):
        if not 0 < rate < 1:
            raise ValueError(f"rate must be above 0 and below 1; got {rate!r}.")
        self.rate = rate
        self.similar = similar or {}
        self.changes = [swap, delete, *([self.replace, self.insert] if self.similar else [])]

    def __call__(self, texts, rng):
        changed = []
        for text in texts:
            words = text.split()
            change = self.changes[rng.integers(len(self.changes))]
            count = max(1, round(self.rate * len(words)))
            changed.append(" ".join(change(words, count, rng)) if words else text)
        return changed

    def replace(self, words, count, rng):
        """Similar words in the place of some."""
        words = list(words)
        known = [place for place, word in enumerate(words) if self._similar_to(word)]
        for place in rng.permutation(known)[:count].astype("int64"):
            words[place] = drawn(self._similar_to(words[place]), rng)
        return words

    def insert(self, words, count, rng):
        """Words that are similar to some, anywhere in the text."""
        sources = [word for word in words if self._similar_to(word)]
        words = list(words)
        for _ in range(count if sources else 0):
            word = drawn(self._similar_to(drawn(sources, rng)), rng)
            words.insert(int(rng.integers(len(words) + 1)), word)
        return words

    def _similar_to(self, word):
        return self.similar.get(word.lower(), ())


def swap(words, count, rng):
    """Two words that change places, as often as that."""
    words = list(words)
    for _ in range(count if len(words) > 1 else 0):
        first, second = rng.choice(len(words), 2, replace=False)
        words[first], words[second] = words[second], words[first]
    return words


def delete(words, count, rng):
    """The words without some."""
    count = min(count, len(words) - 1)
    left_out = set(rng.choice(len(words), count, replace=False).tolist())
    return [word for place, word in enumerate(words) if place not in left_out]


def drawn(items, rng):
    return items[int(rng.integers(len(items)))]


def neighbours(words, vectors, count=5):
    """`{word: [its nearest words]}` by the cosines of word vectors.

    Args:
        words: a list of strings.
        vectors: `(len(words), dim)`, such as a model's `token_embedding` of single-token words.
        count: int, how many.
    """
    vectors = np.asarray(vectors, "float32")
    if len(words) != len(vectors) or not 1 <= count < len(words):
        raise ValueError(
            f"There must be a vector for each word, and more words than count={count}; got "
            f"{len(words)} words and {len(vectors)} vectors."
        )
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = {}
    for place, word in enumerate(words):
        cosines = unit @ unit[place]
        cosines[place] = -np.inf
        nearest = np.argsort(-cosines, kind="stable")[:count]
        found[word.lower()] = [words[other] for other in nearest]
    return found


class BackTranslation:
    """Each text in another language and back, said in other words.

    Sennrich et al., 2016, https://arxiv.org/abs/1511.06709. A text that is too long for a
    translator, or comes back empty, stays as it is.

    Args:
        there, back: `zoo.Seq2SeqLM`s from the texts' language and into it.
        sampler: what both write by; None for their own. `TopP(0.9)` gives more variety.

    Call arguments:
        texts, rng: those of `EasyChanges`.
    """

    def __init__(self, there, back, sampler=None):
        self.there, self.back, self.sampler = there, back, sampler

    def __call__(self, texts, rng):
        changed = list(texts)
        places = self._readable(self.there, texts, range(len(texts)))
        foreign = self._translate(self.there, [texts[place] for place in places], rng)
        kept = self._readable(self.back, foreign, range(len(foreign)))
        ours = self._translate(self.back, [foreign[one] for one in kept], rng)
        for one, text in zip(kept, ours, strict=True):
            changed[places[one]] = text if text.strip() else texts[places[one]]
        return changed

    def _readable(self, model, texts, places):
        room = model.backbone.max_length - 2  # start and end tokens
        ids = model.encode([texts[place] for place in places]) if texts else []
        return [place for place, row in zip(places, ids, strict=True) if 0 < len(row) <= room]

    def _translate(self, model, texts, rng):
        seed = int(rng.integers(2**32))
        return model.generate(texts, sampler=self.sampler, seed=seed, verbose=0) if texts else []


class MaskedSubstitution:
    """Words that a masked language model finds as likely, in the place of some.

    Wu et al., 2019, https://arxiv.org/abs/1812.06705; as TinyBERT's data are made more of: Jiao et
    al., 2020, section 3.2, https://arxiv.org/abs/1909.10351. Words of a single token are replaced,
    by such words; every other character of a text stays.

    Args:
        model: a `zoo.MaskedLM`.
        rate: float above 0 and at most 1, the share of a text's words that are replaced, at least
            one where there is one.
        top_k: int, how many of the likeliest words are drawn from, by their probabilities.
        batch_size: int.

    Call arguments:
        texts, rng: those of `EasyChanges`.
    """

    def __init__(self, model, rate=0.15, top_k=10, batch_size=32):
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be above 0 and at most 1; got {rate!r}.")
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1; got {top_k!r}.")
        tokenizer = model.require_mask_token()
        self.model, self.rate, self.top_k, self.batch_size = model, rate, top_k, batch_size
        self.forms = [
            tokenizer.decode([i], skip_special=False) for i in range(tokenizer.vocab_size)
        ]
        self.continues = continuing_tokens(tokenizer)
        is_word = [form.strip().isalpha() for form in self.forms]
        self.is_word = np.array(is_word) & ~self.continues
        self.is_word[list(tokenizer.special_ids.values())] = False
        if self.is_word.sum() <= top_k:
            raise ValueError(
                f"The model's vocabulary has {self.is_word.sum()} whole words; lower top_k={top_k}."
            )

    def __call__(self, texts, rng):
        changed = []
        for start in range(0, len(texts), self.batch_size):
            changed += self._change(texts[start : start + self.batch_size], rng)
        return changed

    def _change(self, texts, rng):
        form = RowFormat(self.model.tokenizer, self.model.backbone, self.model.special_tokens)
        encoded = self.model.tokenizer.encode_with_offsets(texts)
        rows = [ids[: form.room(False)] for ids, _ in encoded]
        places = [self._choose(np.array(ids, "int64"), rng) for ids in rows]
        count = max(map(len, places))
        if not count:
            return list(texts)
        masked = [list(ids) for ids in rows]
        positions = np.zeros((len(texts), bucket(count, 1, max(map(len, rows)) + 2)), "int32")
        for row, chosen in enumerate(places):
            for slot, place in enumerate(chosen):
                masked[row][place] = self.model.special_tokens.mask
                positions[row, slot] = place + 1  # behind the start token
        examples = form.lay_out(masked)
        length = self.model.backbone.max_length
        inputs = examples.model_inputs(np.arange(len(texts)), length)
        logits = self.model.outputs_of(inputs | {"masked_positions": positions}, self.batch_size)
        changed = []
        for row, text in enumerate(texts):
            words = [
                self._draw(logits[row, slot], rows[row][place], rng)
                for slot, place in enumerate(places[row])
            ]
            spans = [encoded[row][1][place] for place in places[row]]
            for (start, end), word in sorted(zip(spans, words, strict=True), reverse=True):
                text = f"{text[:start]}{word}{text[end:]}"
            changed.append(text)
        return changed

    def _choose(self, ids, rng):
        """Places of words of one token, in ascending order."""
        if not len(ids):
            return []
        goes_on = np.append(self.continues[ids[1:]], False)
        places = np.flatnonzero(self.is_word[ids] & ~goes_on)
        count = min(len(places), max(1, round(self.rate * len(places))))
        return sorted(rng.permutation(places)[:count].tolist())

    def _draw(self, logits, original, rng):
        """Another word than the original, as the text has it."""
        logits = np.where(self.is_word, logits[: len(self.is_word)].astype("float64"), -np.inf)
        logits[original] = -np.inf
        best = np.argsort(-logits, kind="stable")[: self.top_k]
        weights = np.exp(logits[best] - logits[best[0]])
        return self.forms[rng.choice(best, p=weights / weights.sum())]
