"""TensorFlow."""

from keras.src.backend import rnn

from zoo.backends.common import (
    cache_dtype,
    from_numpy,
    hide,
    in_order,
    int8_product,
    no_gradients,
    product,
    random_state,
    recompute,
    reorder_rows,
    set_random_state,
    sum_by_column,
    write_rows,
)
from zoo.backends.head_gradients import head_gradients
from zoo.backends.tensorflow.compiling import compile_function, compile_loop
from zoo.backends.tensorflow.data import adapt_batches, stop_tuning
from zoo.backends.tensorflow.distribution import (
    agree,
    distribute,
    put_whole,
    require_distribution,
    tell_all,
    whole,
    whole_weights,
)
from zoo.backends.tensorflow.kernels import (
    attention,
    device_names,
    empty,
    lstm,
    take_rows,
    writes_attention_out,
)
from zoo.backends.tensorflow.training import Trainer

COMPILES_EACH_SHAPE = False
WRITES_SAVED_MODELS = True

__all__ = [
    "COMPILES_EACH_SHAPE",
    "WRITES_SAVED_MODELS",
    "Trainer",
    "adapt_batches",
    "agree",
    "attention",
    "cache_dtype",
    "compile_function",
    "compile_loop",
    "device_names",
    "distribute",
    "empty",
    "from_numpy",
    "head_gradients",
    "hide",
    "in_order",
    "int8_product",
    "lstm",
    "no_gradients",
    "product",
    "put_whole",
    "random_state",
    "recompute",
    "reorder_rows",
    "require_distribution",
    "rnn",
    "set_random_state",
    "stop_tuning",
    "sum_by_column",
    "take_rows",
    "tell_all",
    "whole",
    "whole_weights",
    "write_rows",
    "writes_attention_out",
]
