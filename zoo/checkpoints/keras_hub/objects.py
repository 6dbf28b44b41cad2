"""The JSON of KerasHub: objects of Keras written down, of which only names and numbers are read.

Nothing in them is looked up, imported or made: a class is a name, to be found in our tables.
"""

from zoo.checks import shown
from zoo.config import read_object
from zoo.tensors.checks import damaged

REGISTERED = "keras_hub>"


def read(path):
    """The object in a small JSON file."""
    return read_object(path)


def is_object(contents):
    name = contents.get("registered_name")
    return isinstance(name, str) and name.startswith(REGISTERED)


def config_of(contents, path):
    """`(name of the class, its config)` of an object; raises ValueError for what is none."""
    name, config = contents.get("class_name"), contents.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise damaged(path, "it must have a class_name and its config")
    if contents.get("registered_name") != REGISTERED + name:
        got = shown(contents.get("registered_name"))
        raise ValueError(f"{path}: registered_name must be {REGISTERED + name[:80]!r}; got {got}.")
    return name, config


def serialized(name, config, dtype="float32"):
    """An object as they write it."""
    policy = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }
    return {
        "module": "keras_hub.models",
        "class_name": name,
        "config": {"trainable": True, "dtype": policy, **config},
        "registered_name": REGISTERED + name,
    }
