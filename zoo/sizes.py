"""How many numbers a backbone holds, and whether a machine can: known before anything is made."""

import functools
import json
import random

from zoo import arguments
from zoo.backends.memory import total_memory
from zoo.backends.unallocated import unallocated
from zoo.models import FAMILIES

BYTES = {"float16": 2, "bfloat16": 2}  # of a weight; 4 under every other policy


def count_parameters(config):
    """The parameters of the backbone of a checked config.

    Keras counts them in a model without memory. From the second block on, each adds as many as the
    last: two small models tell of a deep one.
    """
    values = config["backbone"]
    layers = values.get("num_layers", 0)
    if layers <= 3:
        return count(config["family"], values)
    two, three = (count(config["family"], {**values, "num_layers": n}) for n in (2, 3))
    return two + (layers - 2) * (three - two)


def count(family, values):
    return count_of_json(family, json.dumps(values, sort_keys=True))


@functools.lru_cache(maxsize=256)
def count_of_json(family, values):
    state = random.getstate()  # Keras draws seeds from it: what is built later is to get the same
    try:
        with unallocated():
            return FAMILIES[family](**json.loads(values), name="counted").count_params()
    finally:
        random.setstate(state)


def check_memory(config, source):
    """Raise ValueError that names the arguments to blame where weights exceed a machine's memory.

    Args:
        config: a dict of `family` and `backbone`, checked.
        source: str, what the error is about.
    """
    memory, values = total_memory(), config["backbone"]
    needed = BYTES.get(values.get("dtype"), 4) * count_parameters(config)
    if memory is None or needed <= memory:
        return
    names = " or ".join(f"{name}, here {values[name]}," for name in decisive(config))
    raise ValueError(
        f"{source}: {names} must be smaller: the weights of this {config['family']} model take "
        f"{needed / 1e9:,.1f} GB, and this machine has {memory / 1e9:,.1f} GB of memory."
    )


def decisive(config):
    """The arguments which, halved, leave less than three quarters of the parameters."""
    cls, values = FAMILIES[config["family"]], config["backbone"]
    most = 0.75 * count_parameters(config)
    names = []
    for name, value in values.items():
        if not isinstance(cls.arguments[name], arguments.Integer) or not value:
            continue
        halved = {**values, name: value // 2}
        try:
            arguments.check_values(cls, halved, "half")
            names += [name] if count_parameters({**config, "backbone": halved}) < most else []
        except ValueError:  # a width that its heads or directions do not divide
            continue
    return names or ["vocab_size"]
