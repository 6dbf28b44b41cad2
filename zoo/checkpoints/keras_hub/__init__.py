"""KerasHub's presets, read and written; KerasHub itself is not needed for either.

config.json, task.json               objects of Keras written down: `objects`
model.weights.h5, task.weights.h5    the backbone's weights and the heads': `weights`
tokenizer.json, assets/              `tokenizers`

`families` has the tables; `reading` and `writing` put all of it together.
"""

from zoo.checkpoints.keras_hub.reading import (
    find_weights,
    is_preset,
    load_weights,
    read_config,
    read_special_tokens,
    read_tokenizer,
)
from zoo.checkpoints.keras_hub.writing import WRITTEN, write_folder

__all__ = [
    "WRITTEN",
    "find_weights",
    "is_preset",
    "load_weights",
    "read_config",
    "read_special_tokens",
    "read_tokenizer",
    "write_folder",
]
