"""JAX."""

from keras.src.backend import rnn

from zoo.backends.common import (
    attention,
    cache_dtype,
    from_numpy,
    hide,
    in_order,
    no_gradients,
    product,
    random_state,
    recompute,
    reorder_rows,
    set_random_state,
    sum_by_column,
    write_rows,
)
from zoo.backends.data import adapt_batches, stop_tuning
from zoo.backends.jax.compiling import compile_function, compile_loop
from zoo.backends.jax.distribution import (
    agree,
    distribute,
    put_whole,
    require_distribution,
    tell_all,
    whole,
    whole_weights,
)
from zoo.backends.jax.kernels import (
    device_names,
    empty,
    head_gradients,
    int8_product,
    take_rows,
    writes_attention_out,
)
from zoo.backends.jax.lstm import lstm
from zoo.backends.jax.training import Trainer

COMPILES_EACH_SHAPE = True
WRITES_SAVED_MODELS = False

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
