"""What each token and each output of a batch counts."""

from keras import ops

from zoo.tasks import CausalLM, QuestionAnswerer, TextEmbedder


def token_weights(task, inputs, sample_weight):
    """float32 `(batch, length)` of a batch's tokens: 0 for padding, times the weight of the row."""
    token_ids, mask = inputs["token_ids"], inputs.get("padding_mask")
    is_array = sample_weight is not None and not isinstance(sample_weight, dict)
    rank = len(sample_weight.shape) if is_array else 0
    if mask is not None:
        weight = ops.cast(mask, "float32")
    elif rank == 2 and isinstance(task, CausalLM):
        return ops.cast(sample_weight, "float32")
    else:
        weight = ops.ones(ops.shape(token_ids), "float32")
    if rank == 1 and not isinstance(task, TextEmbedder):  # whose weights are of pairs
        weight = weight * ops.cast(sample_weight, "float32")[:, None]
    return weight


def output_weights(task, outputs, y, sample_weight, inputs):
    """float32, what each output counts: a number for each text, or for each of its tokens."""
    if isinstance(outputs, dict):
        weights = sample_weight or {}
        return {
            name: output_weights(task, one, y, weights.get(name), inputs)
            for name, one in outputs.items()
        }
    if outputs is None:
        return None
    is_of_texts = len(outputs.shape) == 2 or isinstance(task, QuestionAnswerer)
    shape = ops.shape(outputs)[: 1 if is_of_texts else 2]
    if sample_weight is not None:
        weight = ops.cast(sample_weight, "float32")
        weight = weight[:, None] if len(weight.shape) < len(shape) else weight
        return ops.broadcast_to(weight, shape)
    mask = inputs.get("padding_mask")
    if is_of_texts or y is not None or mask is None:
        return ops.ones(shape, "float32")
    return ops.cast(mask, "float32")  # tokens without labels
