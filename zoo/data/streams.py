"""Elements of datasets and iterators to lists of examples, labels and weights."""

import contextlib
import itertools
from collections.abc import Mapping

import keras
import numpy as np

from zoo.data.batches import Batches
from zoo.data.checks import as_array
from zoo.data.sources import (
    ID_COLUMNS,
    LABEL_COLUMNS,
    from_columns,
    holds_ids,
    model_inputs,
    to_list,
)
from zoo.data.texts import NothingToLearn, decoded, is_text

POOL_CHARACTERS = 2**20  # of a stream's text that is packed together


class Reader:
    """What one element of a stream holds for a task.

    Args:
        stream: a `zoo.data.sources.Stream`.
        is_example: a function: whether a value is one example for the task.
        is_labelled: bool, whether labels come with the examples.
    """

    def __init__(self, stream, is_example, is_labelled):
        self.stream = stream
        self.is_example = is_example
        self.is_labelled = is_labelled

    def read(self, element):
        """`(examples, labels, weights)` of an element, the last two lists or None.

        Raises:
            ValueError: if it holds nothing that is an example.
        """
        element = plain(element)
        if isinstance(element, Mapping) and not self.is_example(element):
            return from_columns(self._columns(element), self.is_example)
        x, *rest = self._parts(element)
        examples, is_single = self._examples(x)
        y, weights = (*rest, None, None)[:2]
        return (
            examples,
            None if y is None else [y] if is_single else to_list(y),
            None if weights is None else [weights] if is_single else to_list(weights),
        )

    def _columns(self, row):
        """A dict of a batch, or of a row as a batch of one."""
        is_row = self.stream.is_batched is False or not any(
            isinstance(value, list) and not self.is_example(value) for value in row.values()
        )
        return {name: [value] for name, value in row.items()} if is_row else row

    def _parts(self, element):
        """`(x,)`, `(x, y)` or `(x, y, weights)`."""
        if not isinstance(element, (list, tuple)) or not element:
            return (element,)
        if self.stream.is_batched is not True and isinstance(element, tuple):
            is_pair = self.is_example(element)
            if is_pair and not (self.is_labelled and all(map(is_text, element))):
                return (element,)
        if isinstance(element, list) and (is_text(element[0]) or self.is_example(element)):
            return (element,)  # a batch of texts, or the words of one
        if all(map(self.is_example, element)) and not self._is_transposed(element):
            is_parts = isinstance(element, tuple) and self.is_labelled
            return element if is_parts else (element,)
        return element

    def _is_transposed(self, x):
        return self.stream.transposes and isinstance(x[0], tuple)

    def _examples(self, x):
        """A list of examples, and whether it was one example alone."""
        is_batch = self.stream.is_batched is True
        if not is_batch and self.is_example(x):
            return [x], True
        items = to_list(x) if not is_text(x) else [x]
        if items and self.is_example(items[0]) and not self._is_transposed(items):
            return items, is_text(x)
        columns = [to_list(column) for column in items]
        rows = list(zip(*columns, strict=True)) if len({*map(len, columns)}) == 1 else []
        if rows and self.is_example(rows[0]):
            return rows, False
        raise ValueError(
            f"The elements of this {self.stream.name} must hold what the model reads, batches of "
            f"it or one by one, with labels behind it; got {str(x)[:60]}."
        )


def plain(element):
    """An element with tensors of text as lists of str, and scalars as Python's."""
    if isinstance(element, Mapping):
        return {name: plain(value) for name, value in element.items()}
    if isinstance(element, (list, tuple)):
        parts = [plain(part) for part in element]
        return tuple(parts) if isinstance(element, tuple) else parts
    if isinstance(element, bytes):
        return decoded(element)
    if hasattr(element, "dtype"):
        array = as_array(element)
        return decoded(array.tolist())
    return element


def is_of_ids(element):
    """Whether an element of a stream holds token ids."""
    if isinstance(element, (list, tuple)) and element and not isinstance(element[0], (int, float)):
        return holds_ids(element[0])
    return holds_ids(element)


class LazyBatches(Batches):
    """Batches of a dataset with places: read, tokenised and padded when they are asked for.

    Args:
        reader: a `Reader` of a stream with `get` and `length`.
        make_batch: a function from `(examples, labels, weights)` to a batch for Keras.
        batch_size: int, how many single elements make a batch; batches are left as they are.
        shuffle: bool, whether each epoch has an order of its own.
    """

    def __init__(self, reader, make_batch, batch_size, shuffle, seed=None):
        self.reader = reader
        self.make_batch = make_batch
        self.shuffle = shuffle
        self.group = 1 if reader.stream.is_batched else batch_size
        super().__init__(seed)

    def plan(self, rng):
        length = self.reader.stream.length
        order = rng.permutation(length) if self.shuffle else np.arange(length)
        return [order[i : i + self.group] for i in range(0, length, self.group)]

    def make(self, planned):
        try:
            return self._read(planned)
        except NothingToLearn:
            return self._without_weight()

    def _read(self, planned):
        get = self.reader.stream.get
        return self.make_batch(*merged([self.reader.read(get(int(i))) for i in planned]))

    def _without_weight(self):
        """Another batch, which counts nothing: in the place of one without any text."""
        length = self.reader.stream.length
        for start in range(0, length, self.group):
            with contextlib.suppress(NothingToLearn):
                x, y, *weights = self._read(range(start, min(start + self.group, length)))
                weights = weights or [np.ones(len(next(iter(x.values()))), "float32")]
                return x, y, keras.tree.map_structure(np.zeros_like, weights[0])
        raise NothingToLearn("There is nothing to learn from: no text has a token. Check them.")


def chunks(reader, batch_size):
    """`(examples, labels, weights)` of each batch of a stream; single examples are put together."""
    waiting = []
    for element in reader.stream:
        part = reader.read(element)
        if len(part[0]) > 1 or reader.stream.is_batched:
            yield part
            continue
        waiting.append(part)
        if len(waiting) == batch_size:
            yield merged(waiting)
            waiting = []
    if waiting:
        yield merged(waiting)


def pools(parts):
    """Parts put together until they have `POOL_CHARACTERS`, for what goes on from text to text."""
    waiting, size = [], 0
    for part in parts:
        waiting.append(part)
        size += sum(len(text) for text in part[0] if isinstance(text, str))
        if size >= POOL_CHARACTERS:
            yield merged(waiting)
            waiting, size = [], 0
    if waiting:
        yield merged(waiting)


def merged(parts):
    """Several `(examples, labels, weights)` as one."""
    columns = zip(*parts, strict=True)
    return tuple(
        None if column[0] is None else [one for part in column for one in part]
        for column in columns
    )


class IdStream:
    """A stream of token ids as Keras reads it: batches of `(inputs, labels, weights)`.

    Args:
        stream: a `zoo.data.sources.Stream`.
        batch_size: int, how many single rows make a batch; batches are left as they are.
    """

    def __init__(self, stream, batch_size):
        self.stream = stream
        self.batch_size = batch_size
        x, *_ = self.parts_of(stream.peek())
        self.is_single = np.ndim(x["token_ids"] if isinstance(x, dict) else x) == 1

    @property
    def needs_help(self):
        """Whether Keras could not read the stream itself."""
        element = self.stream.peek()
        x = element[0] if isinstance(element, (list, tuple)) else element
        renames = isinstance(x, Mapping) and (
            isinstance(element, Mapping) or model_inputs(x).keys() != x.keys()
        )
        return self.is_single or renames or not self.stream.is_for_keras

    def parts_of(self, element):
        """The inputs, labels and weights of an element, without those that are not there."""
        if isinstance(element, Mapping):
            element = dict(element)
            y = next((element.pop(name) for name in LABEL_COLUMNS if name in element), None)
            x = {k: v for k, v in model_inputs(element).items() if k in ID_COLUMNS.values()}
            element = (x,) if y is None else (x, y)
        x, *rest = element if isinstance(element, (list, tuple)) else (element,)
        return as_arrays(model_inputs(x)), *(as_arrays(part) for part in rest)

    def __call__(self):
        batches = map(self.parts_of, self.stream)
        return map(stacked, grouped(batches, self.batch_size)) if self.is_single else batches


def as_arrays(part):
    """An array, or a dict of arrays."""
    if isinstance(part, Mapping):
        return {name: as_array(value) for name, value in part.items()}
    return as_array(part)


def grouped(items, size):
    """Lists of `size` items, the last perhaps shorter."""
    items = iter(items)
    while group := list(itertools.islice(items, size)):
        yield group


def stacked(rows):
    """Single `(inputs, labels, weights)` as one such of arrays, short rows padded and masked."""
    rows = [(x if isinstance(x, Mapping) else {"token_ids": x}, *rest) for x, *rest in rows]
    lengths = np.array([len(x["token_ids"]) for x, *_ in rows])

    def stack(*parts):
        longest = max(map(len, parts)) if parts[0].ndim else 0
        return np.stack([np.pad(p, [(0, longest - len(p))]) if p.ndim else p for p in parts])

    x, *rest = keras.tree.map_structure(stack, *rows)
    mask = np.arange(lengths.max()) < lengths[:, None]
    return {"padding_mask": mask, **x}, *rest


def with_first(stream):
    """A stream as its source, with the element that was looked at."""
    if not stream.is_one_shot:
        return stream.source
    return (element for element in stream)
