"""Training on a contiguous stream: the state of each row is carried from batch to batch."""

import keras
import numpy as np
from keras import ops, tree

from zoo.data.checks import check_token_ids, is_array, is_text
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

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """As `Task.fit`; see `StatefulRuns` for what a stateful model does."""
        if not self.stateful:
            return super().fit(x, y, batch_size, *args, **kwargs)
        for name in ("shuffle", "validation_split"):
            if kwargs.get(name):
                raise ValueError(
                    f"A stateful model reads its text in order, so {name} must be left out; got "
                    f"{kwargs[name]!r}. Held-out text goes to validation_data."
                )
        weight = kwargs.pop("sample_weight", None)
        x, y, weight, size = self._continued(x, y, weight, batch_size, training=True)
        self._carry(size, training=True)
        if kwargs.get("validation_data") is not None:
            held_out_size = kwargs.pop("validation_batch_size", None) or size
            kwargs |= self._held_out(kwargs["validation_data"], held_out_size)
        batch_size = None if isinstance(x, keras.utils.PyDataset) else size
        kwargs |= {"sample_weight": weight, "shuffle": False}
        return super().fit(x, y, batch_size, *args, **kwargs)

    def _held_out(self, data, batch_size):
        """Arguments of `fit` for validation."""
        data = data if isinstance(data, tuple) and not is_text(data) else (data,)
        x, y, weight, size = self._continued(*(*data, None, None)[:3], batch_size, training=False)
        self._carry(size, training=False)
        if isinstance(x, keras.utils.PyDataset):
            return {"validation_data": x}
        return {"validation_data": (x, y, weight), "validation_batch_size": size}

    def evaluate(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """As `Task.evaluate`; see `StatefulRuns` for what a stateful model does."""
        if not self.stateful:
            return super().evaluate(x, y, batch_size, *args, **kwargs)
        if not kwargs.get("_use_cached_eval_dataset"):  # which `fit` has prepared
            weight = kwargs.pop("sample_weight", None)
            x, y, weight, size = self._continued(x, y, weight, batch_size, training=False)
            self._carry(size, training=False)
            batch_size = None if isinstance(x, keras.utils.PyDataset) else size
            kwargs["sample_weight"] = weight
        return super().evaluate(x, y, batch_size, *args, **kwargs)

    def _continued(self, x, y, sample_weight, batch_size, training):
        """`(x, y, sample_weight, batch_size)` of batches that go on from each other."""
        batch_size = batch_size or BATCH_SIZE
        length = self.sequence_length or self.backbone.max_length
        if is_text(x):
            end_id = self.require_tokenizer().end_id
            rows = ContinuedCausalLM(batch_size, length, end_id, drop_remainder=training)
            return *rows(self.encode(x)), batch_size
        if isinstance(x, keras.utils.PyDataset):
            data = SteadyBatches(x)
            return data, y, sample_weight, data.batch_size
        if is_array(x) and np.ndim(x) == 1:
            rows = continued_rows(x, batch_size, length, drop_remainder=training)
            check_token_ids(rows[0], self.backbone)
            return *rows, batch_size
        if not (is_array(x) or isinstance(x, dict)):
            raise TypeError(
                "A stateful model must know its batches beforehand: pass text, a stream of token "
                f"ids, rows of them or a keras.utils.PyDataset; got {type(x).__name__}."
            )
        x, y, sample_weight = self.prepare(x, y, sample_weight, training)
        check_batches(len(as_inputs(x)["token_ids"]), batch_size)
        return x, y, sample_weight, batch_size

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
