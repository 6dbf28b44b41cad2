"""The one room that knows which backend runs.

Each backend has a folder here with the same names in it; all other code imports `backend` and calls
those names, and never asks which one it got. Keras' private modules are touched here alone.

Products of float32 are as precise as each backend has them: on a GPU, JAX and TensorFlow round
their factors to TF32, and PyTorch those of its LSTM. That is left as users know it. Where equality
is claimed, in the tests, TF32 is off; see tests/conftest.py.

    compile_function, compile_loop      functions of a model, compiled for their shapes
    product, take_rows, recompute       matrix products, rows of a table, cheap steps taken twice
    int8_product                        rows times a matrix of whole numbers
    attention, hide                     the attention kernel; scores that a mask hides
    writes_attention_out                whether the formula beats that kernel
    write_rows, reorder_rows, in_order  caches of keys and values
    cache_dtype                         what they are kept in
    sum_by_column                       sums of numbers by the columns that they belong to
    lstm, rnn                           a whole sequence in one kernel; Keras' loop over positions
    head_gradients                      the sums and gradients of a head's loss
    empty, from_numpy                   tensors without initial values, or with given ones
    no_gradients                        a context that keeps nothing for a backward pass
    Trainer                             training steps that are functions of their arguments
    distribute, agree, tell_all         several processes or devices that train one model
    whole, put_whole                    the whole array of a variable, of which each may have a part
    whole_weights                       a context in which each process has the whole model
    require_distribution                refuses processes that know nothing of each other
    device_names                        of the accelerators that are computed on
    random_state, set_random_state      what is drawn from beside Keras' seed generators
    adapt_batches, stop_tuning          batches as Keras reads them best on this backend
    COMPILES_EACH_SHAPE                 whether lengths are worth rounding to few
    WRITES_SAVED_MODELS                 whether a SavedModel can be written in this process
"""

import importlib

from zoo.backends.keras_import import import_keras

import_keras()

import keras

BACKENDS = ("jax", "tensorflow", "torch")

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"zoo runs on the Keras backends {', '.join(BACKENDS)}; got "
        f"{keras.backend.backend()!r}. Set the environment variable KERAS_BACKEND to one of them "
        "before Keras is imported."
    )

backend = importlib.import_module(f"zoo.backends.{keras.backend.backend()}")
