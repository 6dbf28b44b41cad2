"""The chance behind sampling: a pure function of seed, prompt, sample and step.

Backends draw differently from the same seed, so the numbers are hashed from a counter instead:
the same seed gives the same text on every backend and in an exported graph.
"""

import numpy as np

# The multipliers of a 32-bit integer hash with low bias ("lowbias32", C. Wellons, public domain).
MULTIPLIERS = np.array([0x7FEB352D, 0x846CA68B], "uint32")
GOLDEN_RATIO = np.uint32(0x9E3779B9)  # 2^32 / phi, spreads counters before they are hashed


def uniform_noise(seeds, prompts, samples, num_steps):
    """One number in [0, 1) for each row and step.

    Args:
        seeds: int `(batch,)`.
        prompts: int `(batch,)`, which of the prompts that share a seed a row continues.
        samples: int `(batch,)`, which of a prompt's several continuations a row is.
        num_steps: int.

    Returns:
        float32 `(batch, num_steps)`.
    """
    rows = (as_uint32(x) for x in (seeds, prompts, samples))
    return noise_of(*rows, np.arange(1, num_steps + 1, dtype="uint32")).astype("float32") * 2**-24


def noise_of(seeds, prompts, samples, steps):
    """Whole numbers below 2^24, uint32 `(batch, steps)`, of NumPy or of TensorFlow.

    Args:
        seeds, prompts, samples: uint32 `(batch,)`, or scalars.
        steps: uint32 `(steps,)`, counted from 1.
    """
    key = _hash(seeds) + _hash(prompts * GOLDEN_RATIO)
    key = _hash(key + samples * GOLDEN_RATIO)
    return _hash(_hash(key[:, None] + steps * GOLDEN_RATIO)) // np.uint32(2**8)


def _hash(x):
    x = (x ^ (x // np.uint32(2**16))) * MULTIPLIERS[0]
    x = (x ^ (x // np.uint32(2**15))) * MULTIPLIERS[1]
    return x ^ (x // np.uint32(2**16))


def as_uint32(x):
    return (np.atleast_1d(np.asarray(x, "int64")) & 0xFFFFFFFF).astype("uint32")
