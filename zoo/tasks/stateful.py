"""Training on a contiguous stream: the state of each row is carried from batch to batch."""

import keras
import numpy as np
from keras import ops, tree

from zoo.data.checks import check_token_ids, is_array
from zoo.data.labels import refuse_labels
from zoo.data.sources import holds_ids
from zoo.models.base import as_inputs
from zoo.objectives import ContinuedCausalLM, continued_rows

BATCH_SIZE = 32


@keras.saving.register_keras_serializable("zoo")
class CarriedState(keras.layers.Layer):
    """The states of a recurrent backbone between one batch and the next.

    They are variables that compiled steps may write, but no weights: they are neither saved nor
    counted. Each kind of run and each number of rows has its own.

    Args:
        backbone: a backbone with `make_cache`.
    """

    def __init__(self, backbone, **kwargs):
        super().__init__(**kwargs)
        self._make_cache = backbone.make_cache
        self._states = {}  # of (training, num_rows)
        self._num_rows = {}  # of training
        self.built = True

    def num_rows(self, training):
        """The rows of a batch of such a run; None before any."""
        return self._num_rows.get(bool(training))

    def resize(self, training, num_rows):
        """Make states for batches of so many rows; returns whether there were others before."""
        key = bool(training), num_rows
        if key not in self._states:
            self._states[key] = tree.map_structure(self._variable, self._make_cache(num_rows))
        is_other = self._num_rows.get(key[0]) != num_rows
        self._num_rows[key[0]] = num_rows
        return is_other

    def _variable(self, part):
        return self.add_weight(
            shape=part.shape, dtype=part.dtype, initializer="zeros", trainable=False
        )

    def read(self, training):
        """The states, as a cache of the backbone."""
        # Copies: PyTorch's gradients must not see the variables change.
        return tree.map_structure(lambda v: ops.copy(v.value), self._of(training))

    def write(self, training, states):
        """Keep these for the next batch; no gradient goes back through them."""
        pairs = zip(tree.flatten(self._of(training)), tree.flatten(states), strict=True)
        for variable, value in pairs:
            variable.assign(ops.stop_gradient(value))

    def reset(self, training):
        """Start anew, from zeros."""
        if self.num_rows(training) is not None:
            for variable in tree.flatten(self._of(training)):
                variable.assign(ops.zeros(variable.shape, variable.dtype))

    def _of(self, training):
        return self._states[bool(training), self.num_rows(training)]

    @property
    def weights(self):
        return []

    def save_own_variables(self, store):
        """Nothing of this is saved."""

    def load_own_variables(self, store):
        """Nothing of this is saved."""


class StatefulRuns:
    """What a language model does when each of its batches goes on where the last one stopped.

    `fit` and `evaluate` cut text, or a stream of token ids, into `batch_size` lanes, and each batch
    starts from the states that the batch before it has reached; gradients stop there. Every epoch
    and every `evaluate` starts from zeros, and leaves the states of the other alone. With
    `batch_size=1`, `evaluate` gives the loss of reading the whole stream in one go.

    A subclass has `stateful`, a bool, and calls `start_carrying` in its constructor.
    """

    def start_carrying(self):
        """Make what `stateful` needs; raises ValueError if the backbone has no state to carry."""
        if not self.stateful:
            return
        if not self.backbone.is_recurrent:
            raise ValueError(
                "stateful=True carries a backbone's state from batch to batch, so it needs one "
                f"with a state, such as zoo.models.LSTM; got {type(self.backbone).__name__}."
            )
        self.carried_state = CarriedState(
            self.backbone, dtype=self.backbone.compute_dtype, name="carried_state"
        )

    def feed(self, x, *data, training, batch_size=None, shuffle="auto", **how):
        """As `Reads.feed`; see `StatefulRuns` for how a stateful model's data is batched."""
        if not self.stateful:
            return super().feed(
                x, *data, training=training, batch_size=batch_size, shuffle=shuffle, **how
            )
        refuse_order(shuffle=None if shuffle == "auto" else shuffle or None)
        size = batch_size or BATCH_SIZE
        feed, size = self._continued(x, data, size, training)
        self._carry(size, training)
        return feed

    def split_feed(self, data, fraction, held_out_size, how):
        if self.stateful:
            refuse_order(validation_split=fraction)
        return super().split_feed(data, fraction, held_out_size, how)

    def _continued(self, x, data, batch_size, training):
        """Arguments for Keras of batches that go on from each other, and the rows of each."""
        found = self.read_memory(x)
        if found is not None:
            refuse_labels(self, *data[:2])
            end_id = self.special_tokens.require("between", "Reading texts as one stream")
            objective = ContinuedCausalLM(batch_size, self.row_length, end_id, None, training)
            rows = objective(self.encode(found[0]))
        elif isinstance(x, keras.utils.PyDataset):
            steady = SteadyBatches(x)
            return {"x": steady, "shuffle": False}, steady.batch_size
        elif is_array(x) and np.ndim(x) == 1:
            rows = continued_rows(x, batch_size, self.row_length, drop_remainder=training)
            check_token_ids(rows[0], self.backbone)
        elif holds_ids(x):
            rows = self.arrays(x, *data, training=training).values()
        else:
            raise TypeError(
                "A stateful model must know its batches beforehand: pass text, a stream of token "
                f"ids, rows of them or a keras.utils.PyDataset; got {type(x).__name__}."
            )
        feed = dict(zip(("x", "y", "sample_weight"), rows, strict=True))
        check_batches(len(as_inputs(feed["x"])["token_ids"]), batch_size)
        return feed | {"batch_size": batch_size, "shuffle": False}, batch_size

    def _carry(self, batch_size, training):
        """Get ready for steps with that many rows."""
        if self.carried_state.resize(training, batch_size):
            # Compiled steps hold the variables that they were compiled with.
            if training:
                self.train_function = None
            else:
                self.test_function = None

    def own_callbacks(self, given):
        fresh = [FreshStates(self.carried_state)] if self.stateful else []
        return [*super().own_callbacks(given), *fresh]

    def outputs_of_step(self, x, training):
        if not self.stateful:
            return super().outputs_of_step(x, training)
        return self.backbone.logits(self.hidden_states(x, training))

    def hidden_states(self, x, training):
        if not self.stateful:
            return super().hidden_states(x, training)
        inputs = as_inputs(x)
        num_rows, expected = inputs["token_ids"].shape[0], self.carried_state.num_rows(training)
        if expected is None or num_rows not in (None, expected):
            raise_changed(expected, num_rows)
        hidden, states = self.backbone.call_with_cache(
            ops.cast(inputs["token_ids"], "int32"),
            self.carried_state.read(training),
            padding_mask=inputs["padding_mask"],
            training=training,
        )
        self.carried_state.write(training, states)
        return hidden


class FreshStates(keras.callbacks.Callback):
    """Let every epoch and every evaluation start from zeros.

    Args:
        carried_state: a `CarriedState`.
    """

    def __init__(self, carried_state):
        super().__init__()
        self.carried_state = carried_state

    def on_epoch_begin(self, epoch, logs=None):
        self.carried_state.reset(training=True)

    def on_test_begin(self, logs=None):
        self.carried_state.reset(training=False)


class SteadyBatches(keras.utils.PyDataset):
    """A dataset, whose batches must all have as many rows as the first."""

    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset
        self.batch_size = self._num_rows(dataset[0])

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        batch = self.dataset[index]
        if self._num_rows(batch) != self.batch_size:
            raise_changed(self.batch_size, self._num_rows(batch))
        return batch

    def on_epoch_end(self):
        self.dataset.on_epoch_end()

    @staticmethod
    def _num_rows(batch):
        return len(as_inputs(batch[0])["token_ids"])


def refuse_order(**given):
    """Refuse arguments of `fit` that would take a stream's parts out of their order."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"A stateful model reads its text in order, so {name} must be left out; got "
                f"{value!r}. Held-out text goes to validation_data."
            )


def check_batches(num_rows, batch_size):
    """Refuse rows that cannot all be in batches of one size."""
    if num_rows % batch_size:
        raise_changed(batch_size, num_rows % batch_size)


def raise_changed(expected, got):
    raise ValueError(
        "A stateful model carries the state of each row to the next batch, so all batches must "
        f"have the same number of rows, {expected}; got one of {got}. Choose a batch_size that "
        "divides the rows, or pass text, which is cut to fit."
    )
