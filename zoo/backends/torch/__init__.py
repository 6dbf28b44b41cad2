"""PyTorch."""

from keras.src.backend import rnn

from zoo.backends.data import adapt_batches, stop_tuning
from zoo.backends.torch.compiling import compile_function, compile_loop
from zoo.backends.torch.distribution import (
    agree,
    distribute,
    put_whole,
    require_distribution,
    tell_all,
    whole,
    whole_weights,
)
from zoo.backends.torch.head_gradients import head_gradients
from zoo.backends.torch.kernels import (
    attention,
    cache_dtype,
    device_names,
    empty,
    from_numpy,
    hide,
    in_order,
    no_gradients,
    recompute,
    reorder_rows,
    sum_by_column,
    take_rows,
    write_rows,
    writes_attention_out,
)
from zoo.backends.torch.lstm import lstm
from zoo.backends.torch.products import int8_product, product
from zoo.backends.torch.random import random_state, set_random_state
from zoo.backends.torch.training import Trainer

COMPILES_EACH_SHAPE = False
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
