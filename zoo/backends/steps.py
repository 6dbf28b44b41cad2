"""What the training steps of all backends have in common."""

import threading
import weakref

import keras
from keras import ops
from keras.src.backend import compute_output_spec
from keras.src.utils.tracking import no_automatic_dependency_tracking

from zoo.backends.accumulation import average_over_tokens, batch_of
from zoo.backends.cloning import let_tasks_clone_themselves
from zoo.backends.data import begin_later
from zoo.backends.recomputing import KINDS, is_recomputable, recomputing

let_tasks_clone_themselves()

_LOCKS = weakref.WeakKeyDictionary()  # of models, which neither save nor copy their lock
_LOCKS_GUARD = threading.Lock()


class Steps:
    """A step of `fit` or `evaluate` is `outputs_and_loss`, a function of its arguments.

    Nothing of a step is kept in an attribute of the model, which other threads may be using. What
    is to outlive a step is written into variables.
    """

    def outputs_and_loss(self, x, y, sample_weight, training):
        """The outputs of a batch, and the scalar that is minimised.

        The outputs are for metrics alone: a subclass whose metrics need none may return others.
        """
        y_pred = self.outputs_of_step(x, training)
        loss = self._compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
        )
        return y_pred, loss

    def outputs_and_loss_in_training(self, x, y, sample_weight):
        """`outputs_and_loss`, keeping for the backward pass what `compile` has said."""
        with recomputing(self.recompute is not None):
            return self.outputs_and_loss(x, y, sample_weight, training=True)

    def outputs_of_step(self, x, training):
        """The outputs of a batch in `fit` or `evaluate`."""
        return self(x, training=training)

    def num_averaged(self, x, y, sample_weight):
        """What the loss of a batch is a mean over: how much it weighs in the loss of an epoch."""
        if sample_weight is not None and not isinstance(sample_weight, (dict, list, tuple)):
            return ops.sum(ops.cast(sample_weight, "float32"))
        return ops.shape(next(part for part in keras.tree.flatten(x) if part is not None))[0]

    @property
    def weights_lock(self):
        """The lock that a step holds while it replaces the weights; one for each backbone.

        On JAX a step uses the old weights up, so whoever reads weights there holds the lock from
        reading `variable.value` until what computes with them has been dispatched:

            with model.weights_lock:
                results = compiled([variable.value for variable in model.variables], *arguments)

        It may be taken again by the thread that has it. The other backends change weights in place,
        one by one: a reader beside `fit` sees each as it was before a step or after it, and on
        PyTorch, with the lock, all as they were between two steps.
        """
        with _LOCKS_GUARD:
            return _LOCKS.setdefault(getattr(self, "backbone", self), threading.RLock())

    @no_automatic_dependency_tracking
    def compile(self, *args, recompute=None, **kwargs):
        """As `keras.Model.compile`.

        Args:
            recompute: `"blocks"` to keep of each Transformer block its input alone, and to compute
                the rest again for the backward pass: less memory for a third more computing.
        """
        self._check_recompute(recompute)
        self.recompute = recompute
        self.loss = self._compile_loss = self._compile_metrics = None  # Keras leaves the old ones
        super().compile(*args, **kwargs)
        # Keras' own sums in floatx: in bfloat16, 256 and 1 make 256.
        self._loss_tracker = keras.metrics.Mean(name="loss", dtype="float32")
        self._prepare_optimizer(self.optimizer)

    def _check_recompute(self, kind):
        stack = getattr(getattr(self, "backbone", None), "stack", [])
        if kind is None or (kind in KINDS and stack and all(map(is_recomputable, stack))):
            return
        if kind in KINDS:
            raise ValueError(
                f"recompute={kind!r} is for models of Transformer blocks; a "
                f"{type(getattr(self, 'backbone', self)).__name__} has none."
            )
        raise ValueError(f"recompute must be 'blocks' or None; got {kind!r}.")

    def _prepare_optimizer(self, optimizer):
        self.speed_up(optimizer)
        if optimizer is not None:
            average_over_tokens(getattr(optimizer, "inner_optimizer", optimizer))

    def weighing(self, x, y, sample_weight):
        """A context in which the optimizer knows how much the batch of its gradients weighs."""
        return batch_of(self.num_in_world(x, y, sample_weight))

    def metrics_in_world(self):
        """Arrays of all metrics' variables, of the whole batches so far."""
        return [ops.convert_to_numpy(variable.value) for variable in self.metrics_variables]

    def num_in_world(self, x, y, sample_weight):
        """`num_averaged` of the whole batch, where this process or device has a part of it."""
        return self.num_averaged(x, y, sample_weight)

    def speed_up(self, optimizer):
        """Let an optimizer take its fastest way on this backend."""

    @property
    def has_compiled_metrics(self):
        return self._compile_metrics is not None

    def build_loss(self, labels):
        """Spare the run of the whole model on symbols by which Keras learns the shapes of a loss.

        Args:
            labels: a `keras.KerasTensor` like those of a batch.
        """
        self._compile_loss.build(labels, self.outputs[0])

    def build_compiled(self, x, y, sample_weight):
        """Make what the compiled loss and metrics keep, from the shapes of a batch alone."""
        parts = self._compile_loss, self._compile_metrics
        if all(part is None or part.built for part in parts):
            return
        batch = keras.tree.map_structure(_as_symbol, (x, y, sample_weight))
        x, y, sample_weight = batch
        y_pred = compute_output_spec(self, x, training=False)
        compute_output_spec(self.compute_metrics, x, y, y_pred, sample_weight=sample_weight)
        compute_output_spec(
            self._compute_loss, x, y, y_pred, sample_weight=sample_weight, training=False
        )

    def build_metrics(self, batch):
        """Make the variables of all metrics, before a step would, by a batch's shapes."""
        self._symbolic_build(data_batch=batch)

    def _symbolic_build(self, iterator=None, data_batch=None):
        # Keras calls this between making an iterator and using it.
        super()._symbolic_build(iterator, data_batch)
        if iterator is not None:
            begin_later(iterator)

    def sublayers(self):
        """`{path: layer}` of all layers at any depth that have weights, parents before children."""
        layers = {layer.path: layer for layer in self._flatten_layers(include_self=False)}
        return {
            path: layer
            for path, layer in sorted(layers.items(), key=lambda item: item[0] or "")
            if layer.weights and not isinstance(layer, keras.Model)
        }

    def get_compile_config(self):
        """As Keras', with what else the optimizer needs to go on where it stopped."""
        config = super().get_compile_config()
        if self.optimizer is None:
            return config
        self._follow_trainable()
        return {
            **config,
            "not_decayed": _not_decayed(self.optimizer),
            "is_optimizer_built": self.optimizer.built,
            "recompute": self.recompute,
        }

    def clone(self):
        """Another model like this one, compiled like it, with weights of its own."""
        other = type(self).from_config(self.get_config())
        other.compile_from_config(self.get_compile_config())
        return other

    def compile_from_config(self, config):
        """Compile as it was when saved; Keras calls this when it loads a `.keras` file."""
        config = keras.saving.deserialize_keras_object(config)
        not_decayed = config.pop("not_decayed", None)
        is_built = config.pop("is_optimizer_built", False)
        self.compile(**config)
        if self.optimizer is not None:
            _set_not_decayed(self.optimizer, not_decayed)
            if is_built:
                self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force=False):
        self.require_fine_weights()
        self._follow_trainable()
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.optimized_variables)
        super().make_train_function(force)

    @property
    def optimized_variables(self):
        """What the optimizer changes: the trainable variables, or this process's parts of them."""
        return self.trainable_variables

    def require_fine_weights(self):
        """Raise ValueError if weights of 16 bits are to be trained.

        A step of Adam is a small fraction of a weight, and rounds to nothing; in bfloat16, so does
        the decay of its second moment, 0.999.
        """
        coarse = {v.dtype for v in self.trainable_variables} & {"bfloat16", "float16"}
        if coarse:
            name = coarse.pop()
            raise ValueError(
                f"Weights to be trained must be float32, but these are {name}, in which most steps "
                f"round to nothing; make the model with dtype='mixed_{name}', which computes in "
                f"{name} all the same."
            )

    def _follow_trainable(self):
        """Start the optimizer anew if other weights than it knows are to be trained now."""
        if self.optimizer is None or not self.optimizer.built:
            return
        known = getattr(self.optimizer, "inner_optimizer", self.optimizer)._trainable_variables
        if [id(v) for v in known] != [id(v) for v in self.optimized_variables]:
            self.renew_optimizer()

    @no_automatic_dependency_tracking
    def renew_optimizer(self):
        """Put an optimizer that has learned nothing in the place of the model's."""
        old = self.optimizer
        new = type(old).from_config(old.get_config())
        _set_not_decayed(new, _not_decayed(old))
        self._prepare_optimizer(new)
        self.optimizer = new
        self._compile_config.config["optimizer"] = getattr(new, "inner_optimizer", new)
        self.train_function = None

    def own_callbacks(self, given):
        """Callbacks that each `fit` and `evaluate` of the model has, beside those given."""
        return []

    def fit(self, *args, callbacks=None, **kwargs):
        return super().fit(*args, callbacks=self._with_own(callbacks), **kwargs)

    def evaluate(self, *args, callbacks=None, **kwargs):
        return super().evaluate(*args, callbacks=self._with_own(callbacks), **kwargs)

    def _with_own(self, callbacks):
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = keras.tree.flatten(callbacks or [])
            return [*self.own_callbacks(callbacks), *callbacks]
        kinds = [type(callback) for callback in callbacks.callbacks]  # `fit` has added its own
        for callback in self.own_callbacks(callbacks.callbacks):
            if type(callback) not in kinds:
                callback.set_model(self)
                callbacks.append(callback)
        return callbacks


def _as_symbol(array):
    if array is None:
        return None
    return keras.KerasTensor(array.shape, keras.backend.standardize_dtype(array.dtype))


def _not_decayed(optimizer):
    """The names of weights that an optimizer does not decay, which its config leaves out."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    return sorted(pattern.pattern.split("|")) if pattern else []


def _set_not_decayed(optimizer, names):
    if names:
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        optimizer.exclude_from_weight_decay(var_names=names)
