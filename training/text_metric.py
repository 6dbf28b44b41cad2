"""Scores of what a model writes, as one of the numbers that `fit` logs."""

import numbers

import keras


class TextMetric(keras.callbacks.Callback):
    """After an epoch, let the model answer held-out inputs, score the answers and log the scores.

    ```python
    bleu = TextMetric("val", metrics.bleu, english, french)             # logs val_bleu
    best = keras.callbacks.EarlyStopping("val_bleu", mode="max", patience=2)
    model.fit(pairs, callbacks=[bleu, best])

    TextMetric("val", metrics.entity_f1, sentences, tags, method="predict_tags")
    TextMetric("val", lambda true, found: metrics.squad_scores(found, true), ...)
    ```

    The scores stand among the epoch's logs, as if `fit` had computed them: in its history, in the
    progress bar, and for the callbacks that come behind this one in the list, so that
    `EarlyStopping` and `ModelCheckpoint` may watch them.

    Args:
        name: str, what the scores are called. If the function returns a dict, each number in it is
            logged as `name_key`; what is no number, such as a signature or another dict, is not.
        function: `(references, predictions)` to a number or a dict: a function of
            `zoo.training.metrics`, or any other.
        inputs: what the model answers.
        references: what it should have answered; passed to the function as it is.
        method: str, the method of the model that takes the inputs and returns predictions, such as
            `"generate"`, `"predict_labels"`, `"predict_tags"` or `"score"`; or a function
            `(model, inputs)` that does, to pass it arguments.
        every: int, the epochs from one score to the next. In those between nothing is logged, so
            what watches the scores wants 1.

    Raises:
        ValueError: if `every` is below 1; in `fit`, if the model has no such method, the function
            returns no number, or the logs have one of that name already.
    """

    def __init__(self, name, function, inputs, references, method="generate", every=1):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a number of epochs, at least 1; got {every}.")
        self.name = name
        self.function = function
        self.inputs = inputs
        self.references = references
        self.method = method
        self.every = every

    def on_train_begin(self, logs=None):
        if isinstance(self.method, str) and not callable(getattr(self.model, self.method, None)):
            raise ValueError(
                f"method must be one of the model's; {type(self.model).__name__} has no "
                f"{self.method!r}."
            )

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        scores = self.score()
        taken = [name for name in scores if name in logs]
        if taken:
            raise ValueError(
                f"The logs of fit already have {taken[0]!r}: give this metric another name than "
                f"{self.name!r}."
            )
        logs.update(scores)

    def score(self):
        """The scores of the model as it is now, `{name: float}`."""
        if isinstance(self.method, str):
            predictions = getattr(self.model, self.method)(self.inputs)
        else:
            predictions = self.method(self.model, self.inputs)
        value = self.function(self.references, predictions)
        if isinstance(value, dict):
            named = {f"{self.name}_{key}": number for key, number in value.items()}
        else:
            named = {self.name: value}
        scores = {key: float(n) for key, n in named.items() if isinstance(n, numbers.Real)}
        if not scores:
            raise ValueError(
                f"The function of {self.name!r} must return a number, or a dict with one; got "
                f"{value!r}."
            )
        return scores
