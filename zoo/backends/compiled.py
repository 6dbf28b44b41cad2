"""What the backends' compilers have in common: a bounded store, and weights as arguments."""

import collections
import contextlib
import threading

import keras
from keras import ops

from zoo.backends.buckets import MOST_SHAPES

TRACING = threading.RLock()  # PyTorch's tracer works in one thread at a time, Keras' layers build


class Compiled:
    """What is compiled of a function for each key; the least recently used is let go.

    Any thread may ask: who compiles keeps the others from compiling, but not from running.

    Args:
        make: from the arguments of `get` behind the key to what is kept.
    """

    def __init__(self, make):
        self._make = make
        self._kept = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key, *arguments):
        """What is kept for a key, made now if it is not there."""
        found = self._find(key)
        if found is None:
            with TRACING:
                found = self._find(key)  # another thread may have made it meanwhile
                if found is None:
                    found = self._make(*arguments)
                    self._keep(key, found)
        return found

    def __len__(self):
        return len(self._kept)

    def _find(self, key):
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key, made):
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_SHAPES:
                self._kept.popitem(last=False)


def with_weights(weights, function):
    """`(values, *arguments)`: the function of a model, some weights of which have these values."""

    def stateless(values, *arguments):
        with keras.StatelessScope() as scope:
            for weight, value in zip(weights, values, strict=True):
                scope.add_update((weight, value))
            return function(*arguments)

    return stateless


def weights_lock(model):
    """Held while weights are read, where training gives their memory away."""
    return getattr(model, "weights_lock", contextlib.nullcontext())


class CastWeights:
    """A model's weights in the dtypes that its layers compute in, cast once.

    Args:
        model: a model. Its weights may change in value, but not in number, while this is used.
    """

    def __init__(self, model):
        self.weights = model.weights
        dtypes = {}
        for layer in model._flatten_layers():  # those of inner layers come last
            if layer.autocast:
                dtypes |= {id(weight): layer.compute_dtype for weight in layer.weights}
        self._dtypes = {
            i: dtypes[id(weight)]
            for i, weight in enumerate(self.weights)
            if weight._autocast
            and is_float(weight.dtype)
            and is_float(dtypes.get(id(weight), "none"))
            and dtypes[id(weight)] != weight.dtype
        }
        self._cast = None

    def values(self):
        """Those of all weights, as a list. What needs no cast is read anew each time."""
        cast = self._read()
        return [cast.get(i, w.value) for i, w in enumerate(self.weights)]

    def cast(self):
        """Two lists: the weights that need a cast, and their values."""
        return [self.weights[i] for i in self._dtypes], list(self._read().values())

    def _read(self):
        if self._cast is None:
            self._cast = {i: ops.cast(self.weights[i].value, d) for i, d in self._dtypes.items()}
        return self._cast


def is_float(dtype):
    return "float" in str(dtype)
