"""`fit`, `evaluate`, `predict` and their like: one body for every task and every kind of data."""

from typing import Any

import keras
import numpy as np
from keras import ops, tree

from zoo.backends import backend
from zoo.backends.buckets import bucket, pad_rows
from zoo.backends.world import WORLD
from zoo.checks import require_flag, require_whole
from zoo.data.arguments import check_run
from zoo.data.batches import Batches
from zoo.data.checks import as_array, as_inputs, require_something
from zoo.data.sources import holds_ids, holds_numbers, model_inputs, open_stream
from zoo.data.streams import Reader, chunks, is_of_ids, with_first
from zoo.files import is_path
from zoo.tasks.epochs import Epochs, Progress, with_epochs
from zoo.tasks.reading import BATCH_SIZE, Reads
from zoo.tasks.resuming import check_places, keeper_of, resumed, with_places
from zoo.tasks.spreading import of_rank, spread


class Runs(Reads):
    """What a task does with data; see `Reads` for how each says what its data is."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = "auto",
        class_weight: dict | str | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1,
    ) -> keras.callbacks.History:
        """Train on text, on token ids, or on a dataset of either; see `keras.Model.fit`.

        Args:
            x: text in a list, an array, a column or a table; the `pathlib.Path` of a text file, or
                several; arrays of token ids; or a dataset, a loader or a generator of batches of
                any of these, which is read as it comes.
            y: labels, where the task has such and `x` does not bring them.
            batch_size: int; None for 32. Datasets have batches of their own.
            validation_split: float, the share of the last rows in memory that are held out.
            validation_data: what `evaluate` takes: `x`, `(x, y)` or `(x, y, sample_weight)`.
            shuffle: bool, whether each epoch has an order of its own; `"auto"` is the usual.
            class_weight: a dict from labels, or their numbers, to what they count; or
                `"balanced"`.
            sample_weight: a number for each example.

        The other arguments are those of `keras.Model.fit`.

        Raises:
            ValueError: for data without meaning for the task, before anything is computed.
        """
        self.check_trainable()
        check_run(
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
            validation_freq=validation_freq,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
        )
        backend.require_distribution()
        keeper, callbacks = keeper_of(callbacks)
        if keeper is not None:
            check_places(x)
        held_out_size = validation_batch_size or batch_size
        held_out, how = {}, {"training": True, "batch_size": batch_size, "shuffle": shuffle}
        how |= {
            "steps": steps_per_epoch,
            "epochs": range(initial_epoch, max(epochs, initial_epoch)),
        }
        data = x, y, sample_weight, class_weight
        if validation_data is not None:
            parts = self.validation_parts(validation_data)
            try:
                held_out = self.feed(*parts, training=False, batch_size=held_out_size)
            except (TypeError, ValueError) as error:
                raise type(error)(f"validation_data: {error}") from None
        if validation_split and validation_data is None:
            trained, held_out = self.split_feed(data, validation_split, held_out_size, how)
        else:
            trained = self.feed(*data, **how)
        if WORLD.is_distributed:
            trained, held_out = spread(self, trained, held_out, how["epochs"], steps_per_epoch)
            callbacks, verbose = of_rank(callbacks, verbose)
        if keeper is not None:
            trained, initial_epoch = resumed(keeper, self, trained, how["epochs"], steps_per_epoch)
        epochs_told = Epochs(trained.pop("reading", None), held_out.pop("reading", None))
        return super().fit(
            **trained,
            **for_validation(held_out, validation_steps),
            epochs=epochs,
            verbose=verbose,
            callbacks=with_epochs(callbacks, epochs_told, self),
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        _use_cached_eval_dataset: bool = False,
    ) -> Any:
        """Loss and metrics on text, on token ids, or on a dataset of either; see `fit`."""
        if _use_cached_eval_dataset:  # Keras itself, within `fit`
            feed = {"x": x, "y": y, "sample_weight": sample_weight, "batch_size": batch_size}
            feed["_use_cached_eval_dataset"] = True
        else:
            check_run(
                batch_size=batch_size,
                verbose=verbose,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
            )
            feed = self.feed(x, y, sample_weight, training=False, batch_size=batch_size)
            feed.pop("shuffle", None)
            if WORLD.is_distributed:
                feed, verbose = with_places(feed, 0, steps), verbose if WORLD.rank == 0 else 0
            callbacks = with_epochs(callbacks, Epochs(tested=feed.pop("reading", None)), self)
        return super().evaluate(
            **feed, verbose=verbose, steps=steps, callbacks=callbacks, return_dict=return_dict
        )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The model's output for text, for token ids, or for a dataset of either.

        For texts whose tokens each have an output: the tasks over whole texts give a list of
        arrays, each as long as its row; language models an array, with zeros beyond a row's end.
        """
        check_run(batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks)
        require_something(x)
        found = None if isinstance(x, Batches) else self.read_memory(x)
        if found is not None:
            self.require_tokenizer()
            progress = Progress(self, callbacks, verbose)
            rows = self.predict_rows(self.rows(found[0]), batch_size, steps, progress)
            return self.gathered(rows)
        if holds_ids(x):
            x = as_inputs(x)
            self.check_inputs(x)
        elif not isinstance(x, Batches):
            stream = open_stream(x)
            if stream is None:
                raise TypeError(self.kinds(x))
            if not is_of_ids(stream.peek()):
                return self.gathered(self._predict_stream(stream, batch_size, steps))
            self.check_batch(stream.peek())
            x = with_first(stream)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | str | None = None,
        return_dict: bool = False,
    ) -> Any:
        """A step of training on text or on token ids; see `keras.Model.train_on_batch`."""
        self.check_trainable()
        check_run(return_dict=return_dict)
        batch = self._one_batch(x, y, sample_weight, class_weight, training=True)
        return super().train_on_batch(*batch, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch of text or of token ids."""
        check_run(return_dict=return_dict)
        batch = self._one_batch(x, y, sample_weight, None, training=False)
        return super().test_on_batch(*batch, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The model's output for one batch of text or of token ids, padded to its longest row."""
        require_something(x)
        found = self.read_memory(x)
        if found is not None:
            self.require_tokenizer()
            rows = self.rows(found[0])
            inputs = rows.model_inputs(np.arange(len(rows)), self.backbone.max_length)
        else:
            x = model_inputs(x)
            self.check_inputs(x)
            x = x if isinstance(x, dict) else {"token_ids": x}
            inputs = {name: as_array(value) for name, value in x.items() if value is not None}
        return self.outputs_of(inputs, len(inputs["token_ids"]))

    def batches(
        self,
        x: Any,
        batch_size: int | None = None,
        seed: int | None = None,
        is_fixed: bool = False,
        *,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict | str | None = None,
        shuffle: bool = True,
    ) -> Batches:
        """The batches that `fit` makes of text in memory, planned for each epoch.

        Args:
            x, y, sample_weight, class_weight: as for `fit`.
            batch_size: int.
            seed: int; None draws one.
            is_fixed: bool, whether every epoch is the first again, as for evaluation.
            shuffle: bool.
        """
        check_run(batch_size=batch_size)
        require_whole("seed", seed, smallest=0)
        require_flag("is_fixed", is_fixed)
        require_flag("shuffle", shuffle)
        examples = self.read_examples(x, y, sample_weight, class_weight, training=not is_fixed)
        if examples is None:
            raise TypeError(f"batches takes text in memory; got {type(x).__name__}.")
        return self.make_batches(examples, batch_size or BATCH_SIZE, shuffle, seed, is_fixed)

    def validation_parts(self, data):
        """`(x, y, sample_weight)` of what is passed as `validation_data`, those left out None."""
        has_parts = isinstance(data, tuple) and data and isinstance(data[0], (list, tuple))
        if has_parts and len(data) > 3 and not (self.is_example(data[0]) or holds_numbers(data)):
            raise ValueError(
                "validation_data must be x, (x, y) or (x, y, sample_weight); got a tuple of "
                f"{len(data)}."
            )
        if not isinstance(data, (list, tuple)) or not 1 <= len(data) <= 3 or is_path(data[0]):
            return data, None, None
        are_lists = isinstance(data, tuple) and isinstance(data[0], (list, tuple))
        if are_lists or not self.is_example(data[0]):
            return (*data, None, None)[:3]
        return data, None, None

    def split_feed(self, data, fraction, held_out_size, how):
        """The feeds of the first rows of what is in memory, and of the last."""
        examples = self.read_examples(*data, training=True)
        size = how["batch_size"] or BATCH_SIZE
        if examples is not None:
            first, last = examples.split(fraction)
            epochs = how["epochs"].start
            trained = self.feed_of(first, size, True, how["shuffle"], how["steps"], epochs)
            return trained, self.feed_of(last, held_out_size or BATCH_SIZE, False)
        x, y, sample_weight, class_weight = data
        if isinstance(x, Batches) or not holds_ids(x):
            raise ValueError(
                "validation_split holds out rows of text or arrays in memory; from a "
                f"{type(x).__name__} hold out some yourself and pass them as validation_data."
            )
        arrays = self.arrays(x, y, sample_weight, class_weight, True)
        first, last = split_arrays(arrays, fraction)
        first |= {"batch_size": size, "shuffle": bool(how["shuffle"])}
        return first, last | {"batch_size": held_out_size or BATCH_SIZE}

    def predict_rows(self, examples, batch_size=None, steps=None, progress=None):
        """The output of each row, in the rows' order, without its padding.

        Rows of similar length are read together. Lengths and numbers of rows are rounded up to
        few, since what computes them is compiled for each.
        """
        size, lengths = batch_size or BATCH_SIZE, examples.lengths
        order = np.argsort(lengths, kind="stable")
        parts = [order[i : i + size] for i in range(0, len(order), size)][:steps]
        outputs = [None] * len(examples)
        for part in parts if progress is None else progress.over(parts):
            batch = self.outputs_of(examples.model_inputs(part, self.backbone.max_length), size)
            for place, row in enumerate(part):
                outputs[row] = tree.map_structure(
                    lambda o: o[place, : lengths[row]] if o.ndim > 2 else o[place],  # noqa: B023
                    batch,
                )
        return outputs if steps is None else [outputs[row] for part in parts for row in part]

    def outputs_of(self, inputs, most_rows):
        """NumPy outputs of a batch of inputs, by the one function that is compiled for this."""
        count = len(inputs["token_ids"])
        num_rows = bucket(count, 1, max(most_rows, count))
        inputs = {name: pad_rows(np.asarray(value), num_rows) for name, value in inputs.items()}
        outputs = self._forward(tree.map_structure(ops.convert_to_tensor, inputs))
        return tree.map_structure(lambda o: ops.convert_to_numpy(o)[:count], outputs)

    def _compute(self, inputs):
        return self(inputs, training=False)

    def gathered(self, rows):
        """What `predict` returns of the outputs of rows."""
        if isinstance(rows[0], dict):
            return {name: self.gathered([row[name] for row in rows]) for name in rows[0]}
        if rows[0].ndim == 1 or not self.pads_outputs:
            return np.stack(rows) if rows[0].ndim == 1 else rows
        longest = max(map(len, rows))
        return np.stack([np.pad(row, ((0, longest - len(row)), (0, 0))) for row in rows])

    def _predict_stream(self, stream, batch_size, steps):
        self.require_tokenizer()
        rows = []
        for number, (x, _, _) in enumerate(
            chunks(Reader(stream, self.is_example, False), batch_size or BATCH_SIZE)
        ):
            if number == steps:
                break
            rows += self.predict_rows(self.rows(x), batch_size)
        return rows

    def _one_batch(self, x, y, sample_weight, class_weight, training):
        examples = self.read_examples(x, y, sample_weight, class_weight, training)
        if examples is None:
            return tuple(self.arrays(x, y, sample_weight, class_weight, training).values())
        seed = None if training else 0
        batch = self.make_batches(examples, max(len(examples), 1), False, seed, is_fixed=True)[0]
        return (*batch, None, None)[:3]


def for_validation(feed, steps):
    """Arguments of Keras' `fit` for what is held out."""
    if not feed:
        return {}
    parts = feed["x"], feed.get("y"), feed.get("sample_weight")
    data = parts if parts[1] is not None else parts[0]
    size = feed.get("batch_size")
    return {"validation_data": data, "validation_steps": steps, "validation_batch_size": size}


def split_arrays(arrays, fraction):
    """The first rows of `{"x", "y", "sample_weight"}`, and the last of them."""
    count = len(tree.flatten(arrays["x"])[0])
    cut = round(count * (1 - fraction))
    if not 0 < cut < count:
        raise ValueError(
            "validation_split must be a share that leaves rows on both sides; got "
            f"{fraction} of {count} rows."
        )
    taken = tree.map_structure(lambda a: None if a is None else as_array(a), arrays)
    return tuple(
        tree.map_structure(lambda a: None if a is None else a[part], taken)  # noqa: B023
        for part in (slice(None, cut), slice(cut, None))
    )
