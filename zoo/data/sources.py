"""Whatever users hold their data in: lists, columns, tables, datasets, streams.

Containers of other libraries are known by the names of their types, so that none is imported.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping

import keras
import numpy as np

from zoo.data.texts import decoded, filled, is_text, refuse_names
from zoo.files import is_path, read_text

LABEL_COLUMNS = ("label", "labels", "tags", "ner_tags", "score", "similarity_score")
WEIGHT_COLUMN = "sample_weight"
ID_COLUMNS = {  # what tokenizers of transformers call a model's inputs
    "input_ids": "token_ids",
    "attention_mask": "padding_mask",
    "token_type_ids": "segment_ids",
    "decoder_input_ids": "decoder_token_ids",
    "decoder_attention_mask": "decoder_padding_mask",
}


def is_a(x, library, *names):
    """Whether a value's type, or one that it inherits from, has such a name in a library."""
    return any(
        cls.__name__ in names and cls.__module__.partition(".")[0] == library
        for cls in type(x).__mro__
    )


def to_list(x):
    """The items of a list, array, tensor or column, in their order, as plain Python values."""
    if isinstance(x, (str, bytes)) or not hasattr(x, "__iter__"):
        return [x]
    if isinstance(x, (list, tuple)):
        return list(x)
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(type(x), method):
            values = getattr(x, method)()
            return values if isinstance(values, list) else [values]
    if hasattr(x, "numpy"):  # TensorFlow's tensors; their texts are bytes
        return decoded(to_list(np.asarray(x.numpy())))
    return list(x)


def texts_of(x, name="texts"):
    """A list of texts, the empty text in the place of what is missing, and whether `x` was one.

    Args:
        x: a string, or strings in whatever holds them in memory.
        name: str, what an error calls it.

    Raises:
        TypeError: for anything else.
    """
    single = isinstance(x, (str, bytes))
    found = to_list(x) if single or is_column(x) else [x]
    for place, text in enumerate(found):
        if not is_text(text) or not (single or is_column(x)):
            where = f" at position {place}" if is_column(x) else ""
            raise TypeError(
                f"{name} must be a string, or strings in a list, an array or a column; got "
                f"{type(text).__name__} {str(text)[:40]!r}{where}."
            )
    return filled(found), single


def is_column(x):
    """Whether `x` holds its items in memory: a list, array, tensor or one column of a table."""
    if isinstance(x, (list, tuple)) or hasattr(x, "__array__"):
        return not is_table(x)
    return (
        is_a(x, "datasets", "Column")
        or is_a(x, "polars", "Series")
        or is_a(x, "pyarrow", "Array", "ChunkedArray")
    )


def is_table(x):
    return (
        isinstance(x, Mapping)
        or is_a(x, "pandas", "DataFrame")
        or is_a(x, "polars", "DataFrame")
        or is_a(x, "pyarrow", "Table")
    )


def holds_numbers(x):
    """Whether `x` is an array or tensor of numbers, or (nested) lists of them."""
    while isinstance(x, (list, tuple)) and len(x):
        x = x[0]
    if isinstance(x, (bool, int, float, np.number, np.bool_)):
        return not is_text(x)
    kind = getattr(getattr(x, "dtype", None), "kind", None)
    if kind is not None:
        return kind in "iufb"
    return hasattr(x, "dtype") and "string" not in str(x.dtype) and hasattr(x, "__array__")


def holds_ids(x):
    """Whether `x` is token ids: numbers, or a dict with them."""
    if isinstance(x, Mapping):
        return any(name in x for name in ("token_ids", "input_ids", "decoder_token_ids"))
    return holds_numbers(x)


def model_inputs(x):
    """Token ids as they came, with the names of transformers' tokenizers in ours."""
    if not isinstance(x, Mapping):
        return x
    return {ID_COLUMNS.get(name, name): value for name, value in x.items()}


def in_memory(x, is_example):
    """What a user holds in memory, as lists.

    Args:
        x: a text or a file's `pathlib.Path`; a list, array or column of texts, of paths or of
            whatever else is an example; a table with such columns.
        is_example: a function: whether a value is one example for a task.

    Returns:
        `(examples, labels, weights)`, the last two None unless a table has them; None if `x` is
        none of these.

    Raises:
        ValueError: for the names of files, or a table without columns of text.
    """
    if isinstance(x, str) or is_path(x):
        x = [x]
    if is_table(x) and not (isinstance(x, Mapping) and is_example(x)):
        columns = table_columns(x)
        return None if holds_ids(columns) else from_columns(columns, is_example)
    if not is_column(x):
        return None
    if hasattr(x, "dtype") and holds_numbers(x):
        return None
    items = to_list(x)
    if items and is_path(items[0]):
        items = [read_text(path) for path in items]
    elif items and is_text(items[0]):
        refuse_names(items)
    if items and isinstance(items[0], list) and not is_example(items[0]):
        if not is_example(tuple(items[0])):
            return None
        items = [tuple(item) if isinstance(item, list) else item for item in items]  # an array's
    return (items, None, None) if items and is_example(items[0]) else None


def table_columns(table):
    """`{name: list}` of a table."""
    if isinstance(table, Mapping):
        return dict(table)
    if is_a(table, "pyarrow", "Table"):
        return table.to_pydict()
    return {str(name): to_list(table[name]) for name in table.columns}


def from_columns(columns, is_example):
    """Examples, labels and weights of a table's columns, each a list.

    Labels are in a column of one of the usual names; the others with text in them are the
    examples, or together the pairs and triplets of texts.
    """
    columns = {name: to_list(values) for name, values in columns.items()}
    labels = next((columns.pop(name) for name in LABEL_COLUMNS if name in columns), None)
    weights = columns.pop(WEIGHT_COLUMN, None)
    texts = {
        name: values
        for name, values in columns.items()
        if values and (is_text(values[0]) or is_example(values[0]))
    }
    examples = list(zip(*texts.values(), strict=True)) if len(texts) > 1 else None
    if len(texts) == 1:
        (examples,) = texts.values()
    if not examples or not is_example(examples[0]):
        raise ValueError(
            "A table must have a column of text for each text of an example, beside one named "
            f"{LABEL_COLUMNS[0]!r} for labels; got the columns {', '.join(map(repr, columns))}. "
            "Pass the columns alone, such as table['text']."
        )
    return examples, labels, weights


@dataclasses.dataclass
class Stream:
    """A dataset or an iterator, read element by element.

    Attributes:
        source: what the user passed.
        read: a function that starts to read; it gives an iterator of elements.
        get: a function from a place to the element there, for datasets with places; or None.
        length: int, how many elements there are; None if that is not known.
        is_batched: bool, whether elements are batches; None to judge each by itself.
        transposes: bool, whether a batch of pairs comes as a pair of batches.
        is_one_shot: bool, whether it can be read only once.
    """

    source: object
    read: Callable[[], Iterator]
    get: Callable | None = None
    length: int | None = None
    is_batched: bool | None = None
    transposes: bool = False
    is_one_shot: bool = False
    first: tuple = ()  # the element that was looked at, where it cannot be read again

    @property
    def name(self):
        return type(self.source).__name__

    @property
    def is_sequence(self):
        """Whether it is a `keras.utils.PyDataset`, whose batches Keras may take in any order."""
        return isinstance(self.source, keras.utils.PyDataset)

    @property
    def is_for_keras(self):
        """Whether Keras reads such by itself, if it gives batches of token ids."""
        return self.is_sequence or self.transposes

    def peek(self):
        """The first element; an iterator still gives it.

        Raises:
            ValueError: if there is none.
        """
        if self.first:
            return self.first[0]
        for element in itertools.islice(self.read(), 1):
            self.first = (element,) if self.is_one_shot else ()
            return element
        raise ValueError(f"Expected data with something in it; got a {self.name} that is empty.")

    def __iter__(self):
        first, self.first = self.first, ()
        return itertools.chain(first, self.read())


def open_stream(x):
    """A `Stream` of a dataset, loader, generator or other iterable; None if it is none.

    Raises:
        ValueError: for a dictionary of datasets.
    """
    if isinstance(x, keras.utils.PyDataset):
        return indexed(x, x.num_batches, is_batched=True)
    if is_a(x, "tensorflow", "DatasetV2", "DistributedDataset"):
        count = int(x.cardinality()) if hasattr(x, "cardinality") else -1
        return Stream(x, lambda: iter(x), None, count if count >= 0 else None, None, True)
    if is_a(x, "torch", "DataLoader"):
        is_batched = x.batch_sampler is not None
        return Stream(x, lambda: iter(x), None, length_of(x), is_batched, True)
    if is_a(x, "datasets", "DatasetDict", "IterableDatasetDict"):
        raise ValueError(
            f"Pass one of the datasets, such as data[{next(iter(x))!r}]; got them all."
        )
    if is_a(x, "datasets", "Dataset") or is_a(x, "torch", "Dataset"):
        has_places = hasattr(type(x), "__len__") and not is_a(x, "torch", "IterableDataset")
        return indexed(x, len(x), is_batched=False) if has_places else iterated(x, False)
    if is_a(x, "grain", "MapDataset"):
        return dataclasses.replace(indexed(x, len(x), is_batched=None), transposes=True)
    if is_a(x, "grain", "IterDataset", "DataLoader"):
        return dataclasses.replace(iterated(x, None), transposes=True)
    if is_a(x, "datasets", "IterableDataset", "IterableColumn"):
        return iterated(x, False)
    is_other = isinstance(x, (str, bytes, Mapping)) or hasattr(x, "__array__") or is_column(x)
    return None if is_other or not hasattr(x, "__iter__") else iterated(x, None)


def indexed(x, length, is_batched):
    def read():
        return (x[i] for i in (itertools.count() if length is None else range(length)))

    return Stream(x, read, x.__getitem__, length, is_batched)


def iterated(x, is_batched):
    return Stream(
        x, lambda: iter(x), None, length_of(x), is_batched, is_one_shot=hasattr(x, "__next__")
    )


def length_of(x):
    try:
        return len(x)
    except (TypeError, NotImplementedError):
        return None
