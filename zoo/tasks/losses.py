"""Losses that users name: what a task gives are logits."""

import keras

CROSS_ENTROPIES = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
    keras.losses.BinaryCrossentropy,
    keras.losses.BinaryFocalCrossentropy,
)
BY_NAME = {cls.__name__: cls for cls in CROSS_ENTROPIES} | {
    cls().name: cls for cls in CROSS_ENTROPIES
}
BY_NAME |= dict.fromkeys(("crossentropy", "ce"), keras.losses.SparseCategoricalCrossentropy)


def of_logits(loss):
    """A loss as it was given; a cross-entropy by its name becomes one of logits.

    It is averaged over the sample weights: what is padding counts for nothing.

    Raises:
        ValueError: if the loss takes probabilities.
    """
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", None)  # of a function
    if name in BY_NAME and not isinstance(loss, type):
        return BY_NAME[name](from_logits=True, reduction="mean_with_sample_weight", dtype="float32")
    if getattr(loss, "from_logits", True) is False:
        raise ValueError(
            "A task gives logits, so its loss must be made with from_logits=True; got "
            f"{type(loss).__name__}(from_logits=False)."
        )
    return loss
