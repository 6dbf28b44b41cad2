"""What the training steps of all backends have in common."""

import threading
import weakref

import keras
from keras import ops
from keras.src.utils.tracking import no_automatic_dependency_tracking

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

    def outputs_of_step(self, x, training):
        """The outputs of a batch in `fit` or `evaluate`."""
        return self(x, training=training)

    def num_averaged(self, x, y, sample_weight):
        """What the loss of a batch is a mean over: how much it weighs in the loss of an epoch."""
        return ops.shape(next(part for part in keras.tree.flatten(x) if part is not None))[0]

    @property
    def weights_lock(self):
        """The lock that a step holds while it replaces the weights; one for each backbone.

        On JAX a step uses the old weights up, so whoever reads weights there holds the lock from
        reading `variable.value` until what computes with them has been dispatched:

            with model.weights_lock:
                results = compiled([variable.value for variable in model.variables], *arguments)

        It may be taken again by the thread that has it. The other backends change weights in place,
        one by one: a reader beside `fit` sees each as it was before a step or after it.
        """
        with _LOCKS_GUARD:
            return _LOCKS.setdefault(getattr(self, "backbone", self), threading.RLock())

    @no_automatic_dependency_tracking
    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        # Keras' own sums in floatx: in bfloat16, 256 and 1 make 256.
        self._loss_tracker = keras.metrics.Mean(name="loss", dtype="float32")

    def build_loss(self, labels):
        """Spare the run of the whole model on symbols by which Keras learns the shapes of a loss.

        Args:
            labels: a `keras.KerasTensor` like those of a batch.
        """
        self._compile_loss.build(labels, self.outputs[0])

    def own_callbacks(self):
        """Callbacks that each `fit` and `evaluate` of the model has."""
        return []

    def fit(self, *args, callbacks=None, **kwargs):
        return super().fit(*args, callbacks=self._with_own(callbacks), **kwargs)

    def evaluate(self, *args, callbacks=None, **kwargs):
        return super().evaluate(*args, callbacks=self._with_own(callbacks), **kwargs)

    def _with_own(self, callbacks):
        own = self.own_callbacks()
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            return [*own, *keras.tree.flatten(callbacks or [])]
        kinds = [type(callback) for callback in callbacks.callbacks]  # `fit` has added its own
        for callback in own:
            if type(callback) not in kinds:
                callback.set_model(self)
                callbacks.append(callback)
        return callbacks
