"""What was changed in a task's layers after they were made, as a config holds it.

    {"frozen": ["token_embedding", "block_0"],
     "lora": {"block_1/attention/qkv": {"rank": 4, "lora_alpha": 4}},
     "dtype_policies": {"block_1/attention/qkv": {"class_name": "QuantizedDTypePolicy", ...}}}

A layer is named by its path, which begins below the backbone and so is the same in every task.
"""

import keras

KINDS = ("frozen", "lora", "dtype_policies")


def altered(layers):
    """The alterations of some layers, parents before children; what there is none of is left out.

    Args:
        layers: `{path: layer}`.
    """
    frozen = [path for path, layer in layers.items() if not layer.trainable]
    lora = {
        path: {"rank": layer.lora_rank, "lora_alpha": layer.lora_alpha}
        for path, layer in layers.items()
        if getattr(layer, "lora_enabled", False)
    }
    policies = {
        path: keras.dtype_policies.serialize(layer.dtype_policy)
        for path, layer in layers.items()
        if layer.quantization_mode is not None
    }
    found = zip(KINDS, (_outermost(frozen), lora, policies), strict=True)
    return {kind: value for kind, value in found if value}


def alter(layers, frozen=(), lora=None, dtype_policies=None):
    """Change new layers as others were changed.

    Raises:
        ValueError: if there is no layer of such a path.
    """
    lora, policies = lora or {}, dtype_policies or {}
    unknown = sorted({*frozen, *lora, *policies} - set(layers))
    if unknown:
        raise ValueError(
            f"What is frozen, adapted or quantised must be layers of the model; it has no "
            f"{unknown[0]!r}. Its layers are {', '.join(layers)}."
        )
    for path, policy in policies.items():
        layers[path].dtype_policy = keras.dtype_policies.deserialize(policy)  # quantises it
    for path, arguments in lora.items():
        layers[path].enable_lora(**arguments)
    for path in frozen:
        layers[path].trainable = False


def _outermost(paths):
    """Without those that lie below another: a layer is frozen with all it is made of."""
    return [p for p in paths if not any(p.startswith(f"{other}/") for other in paths)]
