"""What was changed in a task's layers after they were made, as a config holds it.

    {"frozen": ["token_embedding", "block_0"],
     "lora": {"block_1/attention/qkv": {"rank": 4, "lora_alpha": 4}},
     "dtype_policies": {"block_1/attention/qkv": {"class_name": "QuantizedDTypePolicy", ...}}}

A layer is named by its path, which begins below the backbone and so is the same in every task.
"""

import keras

from zoo.tasks.frozen import freeze_names, frozen_names

KINDS = ("frozen", "lora", "dtype_policies")


def altered(task):
    """The alterations of a task's layers; what there is none of is left out."""
    layers = task.sublayers()
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
    found = zip(KINDS, (frozen_names(task), lora, policies), strict=True)
    return {kind: value for kind, value in found if value}


def alter(task, frozen=(), lora=None, dtype_policies=None):
    """Change the layers of a new task as those of another were changed.

    Raises:
        ValueError: if it lacks one of them.
    """
    layers = task.sublayers()
    for path in [*(lora or {}), *(dtype_policies or {})]:
        if path not in layers:
            raise ValueError(
                "What is adapted or quantised must be layers of the model; it has no "
                f"{path[:80]!r}. Its layers are {', '.join(layers)}."
            )
    for path, policy in (dtype_policies or {}).items():
        layers[path].dtype_policy = keras.dtype_policies.deserialize(policy)  # quantises it
    for path, arguments in (lora or {}).items():
        layers[path].enable_lora(**arguments)
    freeze_names(task, frozen, "The config")
