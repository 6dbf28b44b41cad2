"""What every task shares: a backbone with a head, a tokenizer, and `fit` on text."""

import keras

from zoo.models.base import TokenModel


class Task(TokenModel):
    """A backbone with a head, its tokenizer and its objective: an ordinary `keras.Model`.

    A subclass builds its head, calls `super().__init__(backbone, tokenizer, inputs=...,
    outputs=...)` and says in `prepare` how text becomes arrays. It comes compiled with its usual
    optimizer, loss and metrics; `compile` changes any of them.

    Args:
        backbone: a `zoo.models` backbone.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a task that works on token ids only.
    """

    def __init__(self, backbone, tokenizer, *, inputs, outputs, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.compile()

    def prepare(self, x, y=None, sample_weight=None, training=True):
        """Turn what a user passes to `fit` or `evaluate` into `(x, y, sample_weight)`.

        Arrays that come with labels and Keras datasets pass through.
        """
        raise NotImplementedError

    def fit(self, x=None, y=None, *args, sample_weight=None, validation_data=None, **kwargs):
        """Train on text, on arrays or on any Keras dataset; see `keras.Model.fit`."""
        x, y, sample_weight = self.prepare(x, y, sample_weight, training=True)
        if isinstance(validation_data, (list, tuple)):
            validation_data = self._prepare_validation(validation_data)
        return super().fit(
            x, y, *args, sample_weight=sample_weight, validation_data=validation_data, **kwargs
        )

    def evaluate(self, x=None, y=None, *args, sample_weight=None, **kwargs):
        """Loss and metrics on text, on arrays or on any Keras dataset."""
        x, y, sample_weight = self.prepare(x, y, sample_weight, training=False)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def _prepare_validation(self, data):
        if is_text(data):
            data = (data,)
        x, y, sample_weight = self.prepare(*data, training=False)
        return (x, y) if sample_weight is None else (x, y, sample_weight)

    def encode(self, texts):
        """Token ids of a list of strings, a list each."""
        if self.tokenizer is None:
            raise ValueError(
                f"This {type(self).__name__} has no tokenizer, so it takes token ids, not text. "
                "Pass arrays of ids, or build it with tokenizer=..."
            )
        return self.tokenizer.encode(list(texts))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "backbone": serialize(self.backbone),
            "tokenizer": self.tokenizer and serialize(self.tokenizer),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        restore = keras.saving.deserialize_keras_object
        backbone = restore(config["backbone"], custom_objects)
        tokenizer = config["tokenizer"] and restore(config["tokenizer"], custom_objects)
        return cls(**{**config, "backbone": backbone, "tokenizer": tokenizer})


def is_text(x):
    """Whether `x` is a string or a list, tuple or array of strings (judged by its first item)."""
    if isinstance(x, str):
        return True
    is_object_array = getattr(getattr(x, "dtype", None), "kind", None) in ("O", "U", "S")
    if isinstance(x, (list, tuple)) or is_object_array:
        return len(x) > 0 and isinstance(x[0], (str, bytes, type(None)))
    return False
