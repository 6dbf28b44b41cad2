"""What every task shares: a backbone with a head, a tokenizer, and `fit` on text."""

import dataclasses
from types import MappingProxyType
from typing import Any, Self

import keras

from zoo import optimizers
from zoo.arguments import check_values, taken
from zoo.backends import backend
from zoo.checks import shown
from zoo.data.checks import as_array
from zoo.data.encoding import encoded
from zoo.data.sources import holds_numbers, texts_of
from zoo.layers.base import bound_arguments
from zoo.models.base import Backbone, TokenModel
from zoo.tasks.alterations import KINDS, alter, altered
from zoo.tasks.guards import StopsAtNaN
from zoo.tasks.losses import of_logits
from zoo.tasks.quantizing import Quantizes
from zoo.tasks.runs import Runs
from zoo.tokenizers import SpecialTokens, Tokenizer


class Task(Quantizes, Runs, backend.Trainer, TokenModel):
    """A backbone with a head, its tokenizer and its objective: an ordinary `keras.Model`.

    A subclass builds its head, calls `super().__init__(backbone, tokenizer, inputs=...,
    outputs=...)` and says how text becomes rows and batches: see `zoo.tasks.reading.Reads`. It
    comes compiled with its usual optimizer, loss and metrics; `compile` changes any of them.

    Args:
        backbone: a `zoo.models` backbone.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a task that works on token ids only.
        special_tokens: a `zoo.tokenizers.SpecialTokens`, or a dict with its arguments; None for
            those that the tokenizer has by the usual names.

    Attributes:
        task_name: what a config calls it.
        arguments: `{name: what it may be}` of the other arguments that it takes, from a config
            too; see `zoo.arguments`.
        heads: names of the layers that it puts on a backbone and that have weights.
        source: `"hf://owner/name@commit"` that its weights were fetched from, or None.
    """

    task_name = None
    arguments = MappingProxyType({})
    heads = ()
    source = None

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls, *args, **kwargs)
        if args or kwargs:  # Keras calls __new__ bare while it swaps base classes
            check_parts(cls, bound_arguments(instance, args, kwargs))
        return instance

    def __init__(self, backbone, tokenizer, *, inputs, outputs, special_tokens=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.dtype_policy = backbone.dtype_policy  # by which Keras scales losses
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.special_tokens = as_special_tokens(special_tokens) or SpecialTokens.of(tokenizer)
        self.special_tokens.check(backbone.vocab_size)
        self._forward = backend.compile_function(self, self._compute)
        self.compile()

    def usual_optimizer(self):
        """The optimizer that `compile` takes for "auto"."""
        return optimizers.for_fine_tuning(self.backbone.hidden_dim)

    def usual_loss(self):
        """The loss that `compile` takes for "auto"; None for a task that computes its own."""
        return None

    def usual_metrics(self):
        """The `weighted_metrics` that `compile` takes for "auto"."""
        return None

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = "auto",
        **kwargs,
    ) -> None:
        """As `keras.Model.compile`; whatever is "auto" is the task's usual choice.

        A cross-entropy by its name, such as `"sparse_categorical_crossentropy"`, is one of logits,
        which are what a task gives, averaged over the sample weights.

        Raises:
            ValueError: a loss of probabilities, or one for a task that computes its own.
        """
        if is_auto(optimizer):
            optimizer = self.usual_optimizer()
        if is_auto(weighted_metrics):
            weighted_metrics = self.usual_metrics()
        usual_loss = self.usual_loss()
        if is_auto(loss):
            loss = usual_loss
        elif loss is not None and usual_loss is None:
            raise ValueError(
                f"A {type(self).__name__} computes its own loss, so compile takes none; got "
                f"{loss!r}. Override compute_loss in a subclass to change it."
            )
        super().compile(
            optimizer=optimizer,
            loss=of_logits(loss),
            loss_weights=loss_weights,
            metrics=metrics or None,
            weighted_metrics=self.usual_metrics()
            if is_auto(weighted_metrics)
            else weighted_metrics,
            **kwargs,
        )

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras' TensorFlow trainer calls this between making an iterator and using it.
        if iterator is not None:
            backend.stop_tuning(iterator)
        super()._maybe_symbolic_build(iterator, data_batch)

    def __call__(self, inputs, **kwargs):
        if isinstance(inputs, (str, list)):
            if not holds_numbers(inputs):
                raise TypeError(
                    f"A call of a {type(self).__name__} takes token ids; got {str(inputs)[:40]!r}. "
                    "Use predict or predict_on_batch for text."
                )
            inputs = as_array(inputs)
        return super().__call__(inputs, **kwargs)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs) -> None:
        """As `keras.Model.save`, to a `.keras` file: from HDF5 Keras cannot make a task again."""
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"A task is saved as a .keras file, or as a folder by zoo.save; got {filepath!r}."
            )
        super().save(filepath, overwrite=overwrite, **kwargs)

    def export(self, *args, **kwargs):
        """Keras' name for what `zoo.export` does: raises NotImplementedError that says so."""
        raise NotImplementedError(
            "A task is exported by zoo.export(model, path): a SavedModel that takes and returns "
            "text, whatever the backend. Keras' own export knows no optional inputs."
        )

    def own_callbacks(self, given):
        guards = (keras.callbacks.TerminateOnNaN, StopsAtNaN)
        is_guarded = any(isinstance(callback, guards) for callback in given)
        return [] if is_guarded else [StopsAtNaN()]

    def require_tokenizer(self) -> Tokenizer:
        """The tokenizer; raises ValueError when the task has none."""
        if self.tokenizer is None:
            raise ValueError(
                f"This {type(self).__name__} has no tokenizer, so it takes token ids, not text. "
                "Pass ids, or build it with tokenizer=..."
            )
        return self.tokenizer

    def encode(self, texts: Any) -> list[list[int]]:
        """Token ids of a string or of several, a list of ids for each."""
        return encoded(self.require_tokenizer(), texts_of(texts)[0])

    @property
    def frozen(self):
        """The paths of the layers that are not trained, as a sorted list."""
        return altered(self.sublayers()).get("frozen", [])

    def get_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        return {
            "backbone": serialize(self.backbone),
            "tokenizer": self.tokenizer and serialize(self.tokenizer),
            "special_tokens": self.special_tokens.get_config(),
            "name": self.name,
            **altered(self.sublayers()),
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Self:
        restore = keras.saving.deserialize_keras_object
        alterations = {kind: config[kind] for kind in KINDS if kind in config}
        arguments = {name: value for name, value in config.items() if name not in KINDS}
        arguments["backbone"] = restore(config["backbone"], custom_objects)
        arguments["tokenizer"] = config["tokenizer"] and restore(
            config["tokenizer"], custom_objects
        )
        task = cls(**arguments)
        alter(task.sublayers(), **alterations)
        return task


def check_parts(cls, arguments):
    """Before a head is built: a backbone that can do the task, its tokenizer, sound arguments.

    Raises:
        TypeError: for what is no backbone or no tokenizer.
        ValueError: for a backbone of other tasks, more tokens than it has, or an argument out of
            its range.
    """
    name = cls.__name__
    if "backbone" in arguments:
        backbone, tokenizer = arguments["backbone"], arguments.get("tokenizer")
        if not isinstance(backbone, Backbone):
            raise TypeError(
                f"A {name} is made of a backbone such as zoo.models.BERT or GPT; got "
                f"{shown(backbone)}."
            )
        if backbone.tasks and cls.task_name not in (None, *backbone.tasks):
            raise ValueError(
                f"A {name} needs a backbone for {cls.task_name}; a {type(backbone).__name__} is "
                f"one for {', '.join(backbone.tasks)}."
            )
        if not isinstance(tokenizer, Tokenizer | None):
            raise TypeError(
                f"tokenizer must be a zoo.tokenizers.Tokenizer or None; got {shown(tokenizer)}."
            )
        if tokenizer is not None and tokenizer.vocab_size > backbone.vocab_size:
            raise ValueError(
                f"The tokenizer's {tokenizer.vocab_size} tokens must all be in the backbone's "
                f"vocabulary; its vocab_size is {backbone.vocab_size}."
            )
    declared = (cls.arguments.keys() & taken(cls).keys() & arguments.keys()) - {"labels"}
    check_values(cls, {one: arguments[one] for one in declared}, name)


def as_special_tokens(given):
    """A `SpecialTokens`, also of a dict with its arguments; None of None."""
    if not isinstance(given, SpecialTokens | dict | None):
        raise TypeError(
            "special_tokens must be a zoo.tokenizers.SpecialTokens, a dict with its arguments, or "
            f"None; got {shown(given)}."
        )
    if not isinstance(given, dict):
        return given
    roles = [field.name for field in dataclasses.fields(SpecialTokens)]
    unknown = [name for name in given if name not in roles]
    if unknown:
        raise ValueError(
            f"special_tokens has no {shown(unknown[0])}; the roles are {', '.join(roles)}."
        )
    return SpecialTokens(**given)


def is_auto(choice):
    return isinstance(choice, str) and choice == "auto"
