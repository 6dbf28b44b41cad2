"""What every backbone shares: it remembers its own arguments and checks its inputs."""

from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from zoo.arguments import DTYPES, LENGTH, RATE, Integer, check_values, taken
from zoo.checks import shown
from zoo.layers.base import bound_arguments


class TokenModel(keras.Model):
    """A functional model whose input is a dict with `token_ids` and optional masks.

    What is optional may be left out of the dict, and token ids alone may stand for it.
    """

    optional_inputs = ("padding_mask",)

    def __call__(self, inputs: Any, **kwargs) -> Any:
        return super().__call__(as_inputs(inputs, self.optional_inputs), **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return super().call(as_inputs(inputs, self.optional_inputs), training=training, mask=mask)

    def compute_output_spec(self, inputs, training=None, mask=None):
        """As `keras.Model` has it; shapes are those with all inputs, whichever are given."""
        given = {name: x for name, x in as_inputs(inputs).items() if x is not None}
        return super().compute_output_spec({**self.input, **given}, training, mask)


ENCODER_TASKS = (
    "masked_lm",
    "pretraining",
    "text_classification",
    "token_classification",
    "question_answering",
    "embedding",
)


class Backbone(TokenModel):
    """A functional model from token ids to hidden states.

    A subclass builds its layers and calls `super().__init__(inputs=..., outputs=...)`. Its
    constructor's arguments are its whole config: plain numbers, strings and booleans. Its
    `token_embedding` is also the table of its head (Press and Wolf, 2017,
    https://arxiv.org/abs/1608.05859), unless it has a `head` of its own.

    Attributes:
        family: what a config calls it.
        tasks: names of the tasks that it can do.
        arguments: `{name: what it may be}` of the arguments that it may take; see `zoo.arguments`.
        head: a layer to the vocabulary, with a `kernel`; None where it is the tied table as it is.
        right_padded: names of masks whose padding stands on the right, where causality hides it.
        is_recurrent: bool, whether what it keeps of the tokens before is a state, which has no
            length, and which padding would change.
        reads_on: bool, whether a position sees only those before it.
        default_pooling: what `zoo.TextClassifier` makes of its hidden states.
        separators_between: int, separator tokens between two texts of a row.
    """

    family = None
    tasks = ()
    arguments = MappingProxyType(
        {
            "vocab_size": Integer(1, 2**24),
            "num_layers": Integer(1, 2**8),
            "num_heads": Integer(1, 2**12),
            "hidden_dim": Integer(1, 2**17),
            "mlp_dim": Integer(1, 2**20),
            "max_length": LENGTH,
            "dropout": RATE,
            "attention_dropout": RATE,
            "norm_epsilon": RATE,
            "dtype": DTYPES,
        }
    )
    right_padded = ()
    is_recurrent = False
    reads_on = False
    separators_between = 1
    default_pooling = "first"

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls, *args, **kwargs)
        if args or kwargs:  # Keras calls __new__ bare while it swaps base classes
            arguments = bound_arguments(instance, args, kwargs)
            # Of dtypes Keras knows more.
            declared = cls.arguments.keys() & taken(cls).keys() - {"dtype"}
            check_values(cls, {name: arguments[name] for name in declared}, cls.__name__)
            if not isinstance(arguments.get("dtype"), str | keras.DTypePolicy | None):
                raise TypeError(
                    f"{cls.__name__}: dtype must be a policy such as 'float32' or "
                    f"'mixed_bfloat16'; got {shown(arguments['dtype'])}."
                )
            object.__setattr__(instance, "_arguments", arguments)
        return instance

    def __init__(self, *args, dtype: Any = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.dtype_policy = keras.dtype_policies.get(dtype)  # a functional model forgets its own
        self.head = None

    @classmethod
    def check_together(cls, arguments, source):
        """Raise ValueError for arguments, all of them or some, that do not go together.

        Args:
            arguments: `{name: value}`, each of which is sound by itself.
            source: str, what an error is about.
        """
        num_heads, hidden_dim = arguments.get("num_heads"), arguments.get("hidden_dim")
        is_free = arguments.get("head_dim") is not None
        if num_heads and hidden_dim and hidden_dim % num_heads and not is_free:
            raise ValueError(
                f"{source}: hidden_dim must be a multiple of num_heads; got {hidden_dim} and "
                f"{num_heads}."
            )

    @property
    def stack(self):
        """All its blocks, those of an encoder before those of a decoder."""
        names = "blocks", "encoder_blocks", "decoder_blocks"
        return [block for name in names for block in getattr(self, name, ())]

    def logits(self, hidden):
        """Project hidden states `(..., hidden_dim)` to `(..., vocab_size)`."""
        if self.head is None:
            return self.token_embedding(hidden, reverse=True)
        return self.head(hidden)

    @property
    def has_plain_head(self):
        """Whether `logits` is no more than a product with `head_table`."""
        layer = self.token_embedding if self.head is None else self.head
        return layer.quantization_mode is None and not getattr(layer, "use_bias", False)

    def head_table(self):
        """What a plain head multiplies by, `(vocab_size, hidden_dim)`, in the compute dtype."""
        if self.head is None:
            return ops.cast(self.token_embedding.embeddings, self.compute_dtype)
        return ops.transpose(ops.cast(self.head.kernel, self.compute_dtype))

    def get_config(self):
        """The constructor's arguments, with the dtype policy spelled out."""
        return {**self._arguments, "dtype": self.dtype_policy.name, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def as_inputs(inputs, optional=("padding_mask",)):
    """Token ids or a dict of inputs, to the whole dict: what is left out is None."""
    if not isinstance(inputs, dict):
        inputs = {"token_ids": inputs}
    return {**dict.fromkeys(optional), **inputs}


INPUT_DTYPES = {"padding_mask": "bool"}  # of those that are not int32


def token_inputs(optional=("padding_mask",)):
    """The symbolic inputs of a model over one sequence: `token_ids`, and what may be left out."""
    inputs = {"token_ids": keras.Input((None,), dtype="int32", name="token_ids")}
    for name in optional:
        dtype = INPUT_DTYPES.get(name, "int32")
        inputs[name] = keras.Input((None,), dtype=dtype, name=name, optional=True)
    return inputs
