"""From whatever a user passes to what Keras reads: one way for all tasks."""

import contextlib

import numpy as np

from zoo.data.batches import Batches
from zoo.data.checks import (
    as_array,
    as_inputs,
    check_token_ids,
    check_weights_of_rows,
    ids_of,
    require_something,
)
from zoo.data.labels import beside, class_weights, require_equal_counts
from zoo.data.sources import holds_ids, in_memory, model_inputs, open_stream
from zoo.data.streams import IdStream, LazyBatches, Reader, chunks, is_of_ids, with_first
from zoo.data.texts import NothingToLearn, check_memory_of, is_text, some
from zoo.tasks.epochs import Planned, Streamed

BATCH_SIZE = 32


class Reads:
    """What a task learns from, is measured on and reads: texts, token ids, datasets of either.

    A task says in `is_example` what it takes besides token ids, in `examples` what a list of these
    becomes, and in `make_batches` how that is batched.
    """

    labels = None  # the names of classes, where a task has such
    weighs_tokens = False  # whether `class_weight` may weigh the tokens that are predicted
    nouns = "text", "label"  # what an example and its label are called
    needs_labels = False  # whether `fit` and `evaluate` need a label with each text
    pads_outputs = True  # whether `predict` gives one array where each token has an output
    ids_need_labels = True  # the same with token ids

    # What a task says.

    def is_example(self, item):
        """Whether an item of a list is one example, rather than token ids."""
        return is_text(item)

    def read_memory(self, x):
        """`(examples, labels, weights)` of what is in memory, the last two or None; or None."""
        return in_memory(x, self.is_example)

    def rows(self, x):
        """What `predict` reads of a list of examples: rows with `batch`, such as `Examples`."""
        return self.examples(x)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """What `fit` and `evaluate` learn from and measure: rows with `part` and `split`."""
        raise NotImplementedError

    def make_batches(self, examples, batch_size, shuffle=False, seed=None, is_fixed=False):
        """`zoo.data.batches.Batches` of what `examples` gives."""
        raise NotImplementedError

    def stream_batches(self, parts, batch_size, training):
        """Batches for Keras of a stream's `(examples, labels, weights)`, where they go on from
        each other; None where each part is a batch by itself.
        """
        return None

    def prepare(self, x, y=None, sample_weight=None, training=True):
        """`(x, y, sample_weight)` for Keras of token ids in memory, checked."""
        self.check_inputs(x)
        if y is None and self.ids_need_labels:
            raise ValueError("There must be a label for each row of token ids: pass y; got none.")
        return x, y, sample_weight

    def require_classes(self):
        """Raise ValueError unless the task has classes that may be weighed."""

    def label_array(self, y, count):
        """Labels beside `count` rows of token ids, an array, as numbers."""
        return y

    def check_readable(self, x):
        """Refuse what is neither text nor token ids, nor a dataset of either."""
        require_something(x)
        if holds_ids(x):
            self.check_inputs(as_inputs(x))
        elif self.read_memory(x) is None and open_stream(x) is None:
            raise TypeError(self.kinds(x))

    def check_inputs(self, x):
        """Refuse token ids that the model cannot read."""
        check_token_ids(x, self.backbone)

    # What follows from it.

    def feed(
        self,
        x,
        y=None,
        sample_weight=None,
        class_weight=None,
        *,
        training,
        batch_size=None,
        shuffle="auto",
        steps=None,
        epochs=range(1),
    ):
        """Arguments for Keras' `fit` or `evaluate`: `x`, and perhaps `y`, `sample_weight` and more.

        Under `reading` they have what `zoo.tasks.epochs.Epochs` is told of, where there is such.
        """
        size, shuffle = batch_size or BATCH_SIZE, training and shuffle
        examples = self.read_examples(x, y, sample_weight, class_weight, training)
        if examples is not None:
            return self.feed_of(examples, size, training, shuffle, steps, epochs.start)
        if isinstance(x, Batches):
            refuse_beside(x, y=y, sample_weight=sample_weight, class_weight=class_weight)
            self.check_vocabulary(x)
            return of_plan(x, epochs.start, steps if training else None, self.check_batch)
        if holds_ids(x):
            feed = self.arrays(x, y, sample_weight, class_weight, training)
            return feed | {"batch_size": size, "shuffle": bool(shuffle)}
        stream = open_stream(x)
        if stream is None:
            raise TypeError(self.kinds(x))
        refuse_beside(x, y=y, sample_weight=sample_weight)
        if stream.is_one_shot and len(epochs) > 1 and steps is None:
            raise ValueError(
                f"A {stream.name} can be read only once, so {len(epochs)} epochs need "
                "steps_per_epoch; or pass what can be read again, such as a list or a dataset."
            )
        counted = epochs.start, steps if training else None
        if is_of_ids(stream.peek()):
            return self._feed_of_ids(stream, size, training, shuffle, class_weight, *counted)
        return self._feed_of_texts(stream, size, training, shuffle, class_weight, *counted)

    def read_examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """`examples` of what is in memory; None for token ids and datasets."""
        require_something(x)
        if class_weight is not None and self.labels is None and not self.weighs_tokens:
            raise ValueError(
                f"class_weight weighs classes, and a {type(self).__name__} has none; leave it out. "
                "sample_weight weighs single examples."
            )
        found = None if isinstance(x, Batches) else self.read_memory(x)
        if found is None:
            return None
        self.require_tokenizer()
        x, labels, weights = found
        if training:
            check_memory_of(x)
        y = labels if y is None else beside(y)
        sample_weight = weights if sample_weight is None else beside(sample_weight)
        if self.needs_labels:
            require_equal_counts(x, y, *self.nouns)
        return self.examples(x, y, sample_weight, class_weight, training)

    def feed_of(self, examples, batch_size, training, shuffle=False, steps=None, first_epoch=0):
        """The same of what `read_examples` gives."""
        if not training:
            return of_plan(self.make_batches(examples, batch_size, False, 0, True))
        batches = self.make_batches(examples, batch_size, bool(shuffle))
        return of_plan(batches, first_epoch, steps)

    def arrays(self, x, y=None, sample_weight=None, class_weight=None, training=True):
        """`{"x", "y", "sample_weight"}` of token ids in memory, their labels and weights."""
        x = as_inputs(x)
        if class_weight is not None and self.labels is None:
            raise ValueError("class_weight weighs tokens of text; beside token ids leave it out.")
        if self.labels is not None and y is not None:
            self.check_inputs(x)
            y = self.label_array(as_array(y), len(ids_of(x)))
        x, y, sample_weight = self.prepare(x, y, sample_weight, training)
        if isinstance(y, (list, tuple)):
            y = as_array(y)
        check_weights_of_rows(x, sample_weight)
        if class_weight is not None:
            self.require_classes()
            numbers = as_array(y).astype("int32")
            weights = class_weights(class_weight, self.labels, numbers.reshape(-1))[numbers]
            sample_weight = weights if sample_weight is None else weights * as_array(sample_weight)
        return {"x": x, "y": y, "sample_weight": sample_weight}

    def _feed_of_ids(self, stream, size, training, shuffle, class_weight, first_epoch, steps):
        self.check_batch(stream.peek(), needs_labels=True)
        numbered = None
        if self.labels is None:
            refuse_beside(stream.source, class_weight=class_weight)
        if class_weight is not None:
            self.require_classes()
            refuse_balanced(class_weight, stream)
            values = class_weights(class_weight, self.labels, None).tolist()
            numbered = dict(enumerate(values))
        ids = IdStream(stream, size)
        if ids.needs_help:
            refuse_beside(stream.source, class_weight=class_weight)
            return of_stream(ids, None, stream.is_one_shot, steps)
        feed = {"x": with_first(stream)}
        if training:  # Keras itself draws the order of a sequence alone
            is_shuffled = shuffle is True or (shuffle and stream.is_sequence)
            feed |= {"class_weight": numbered, "shuffle": is_shuffled}
        return feed

    def _feed_of_texts(self, stream, size, training, shuffle, class_weight, first_epoch, steps):
        self.require_tokenizer()
        if self.weighs_tokens:
            refuse_beside(stream.source, class_weight=class_weight)
        if class_weight is not None:
            refuse_balanced(class_weight, stream)
        reader = Reader(stream, self.is_example, self.needs_labels)

        def make(x, y, weights):
            if self.needs_labels:
                require_equal_counts(x, y, *self.nouns)
            examples = self.examples(x, y, weights, class_weight, training)
            return self.make_batches(examples, len(x), False, is_fixed=True)[0]

        parts = [reader.read(stream.peek())]
        packs = self.stream_batches(iter(parts), size, training) is not None
        if not packs:
            with contextlib.suppress(NothingToLearn):
                make(*parts[0])  # what is wrong is wrong in the first batch, before any step
        if not packs and stream.get is not None and stream.length is not None:
            return of_plan(LazyBatches(reader, make, size, bool(shuffle)), first_epoch, steps)

        def read():
            parts = chunks(reader, size)
            if packs:
                return some(self.stream_batches(parts, size, training))
            return some(map_parts(make, parts))

        count = stream.length if stream.is_batched and not packs else None
        return of_stream(read, count, stream.is_one_shot, steps)

    def check_batch(self, batch, needs_labels=False):
        """Refuse a dataset's batch of token ids that the model cannot read, or without labels."""
        x, y = (*batch, None)[:2] if isinstance(batch, (list, tuple)) else (batch, None)
        if needs_labels and y is None and self.ids_need_labels and not isinstance(batch, dict):
            raise ValueError(
                "A dataset to train or measure on must give (token_ids, labels); its first batch "
                "has no labels."
            )
        x = model_inputs(x)
        ids = x.get("token_ids") if isinstance(x, dict) else x
        if ids is not None and np.ndim(ids) == 2:
            check_token_ids(x if isinstance(x, dict) else ids, self.backbone)

    def check_vocabulary(self, batches):
        """Refuse rows of a token file whose tokens are not all the backbone's."""
        vocab_size = getattr(batches, "vocab_size", None)
        if vocab_size is not None and vocab_size > self.backbone.vocab_size:
            raise ValueError(
                f"The token file was written with a vocabulary of {vocab_size}; this model has "
                f"{self.backbone.vocab_size} tokens. Write the file with the model's tokenizer."
            )

    def kinds(self, x):
        """What an error says of what is no data at all."""
        return (
            f"A {type(self).__name__} takes text, token ids, or datasets of either; got "
            f"{type(x).__name__}: {str(x)[:40]!r}."
        )


def of_plan(batches, first_epoch=0, steps=None, check=None):
    reading = Planned(batches, first_epoch, steps, check)
    return {"x": reading.for_keras(), "shuffle": False, "reading": reading}


def of_stream(read, num_batches, is_one_shot, steps):
    reading = Streamed(read, num_batches, is_one_shot, steps is not None, steps)
    return {"x": reading.for_keras(), "shuffle": False, "reading": reading}


def map_parts(make, parts):
    """The batches of all parts in which there is something to learn."""
    for part in parts:
        with contextlib.suppress(NothingToLearn):
            yield make(*part)


def refuse_beside(x, **given):
    """Refuse what a dataset brings by itself."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} goes with data in memory; a {type(x).__name__} must bring its own, as "
                f"(x, y, sample_weight). Leave {name} out."
            )


def refuse_balanced(class_weight, stream):
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight={class_weight!r} counts labels, so it needs them all in memory; pass a "
            f"dict of weights beside a {stream.name}."
        )
