"""What of a task is not trained, as names that a file can hold."""


def frozen_names(model):
    """Names of the frozen layers of a task and its backbone, and of single weights in the others.

    Returns:
        A list such as `["token_embedding", "block_0", "block_1/attention/qkv/kernel"]`.
    """
    names = []
    for name, layer in parts(model).items():
        frozen = [weight.path for weight in layer.weights if not weight.trainable]
        names += [name] if len(frozen) == len(layer.weights) else frozen
    return names


def freeze_names(model, names, source):
    """Freeze what `frozen_names` has named.

    Raises:
        ValueError: a name that the task lacks; `source` says where it stands.
    """
    layers, weights = parts(model), {weight.path: weight for weight in model.weights}
    for name in names:
        if name not in layers and name not in weights:
            raise ValueError(
                f"{source}: frozen must name a layer or a weight of the model; got {name[:80]!r}."
            )
        (layers.get(name) or weights[name]).trainable = False


def parts(model):
    """`{name: layer}` of the layers with weights."""
    layers = [*model.backbone.layers, *model.layers]
    return {x.name: x for x in layers if x.weights and x is not model.backbone}
