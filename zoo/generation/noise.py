"""The chance behind sampling: a pure function of seed, sample and step.

Backends draw differently from the same seed, so the numbers are hashed from a counter instead:
the same seed gives the same text on every backend and in an exported graph.
"""

import numpy as np

# The multipliers of a 32-bit integer hash with low bias ("lowbias32", C. Wellons, public domain).
MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
GOLDEN_RATIO = 0x9E3779B9  # 2^32 / phi, spreads counters before they are hashed


def uniform_noise(seeds, samples, num_steps):
    """One number in [0, 1) for each row and step.

    Args:
        seeds: int `(batch,)`.
        samples: int `(batch,)`, which of a prompt's several continuations a row is.
        num_steps: int.

    Returns:
        float32 `(batch, num_steps)`.
    """
    key = _hash(_hash(_as_uint32(seeds)) + _as_uint32(samples) * np.uint32(GOLDEN_RATIO))
    step = np.arange(1, num_steps + 1, dtype="uint32") * np.uint32(GOLDEN_RATIO)
    bits = _hash(_hash(key[:, None] + step))
    return (bits >> np.uint32(8)).astype("float32") * np.float32(2**-24)


def _hash(x):
    x = (x ^ (x >> np.uint32(16))) * np.uint32(MULTIPLIERS[0])
    x = (x ^ (x >> np.uint32(15))) * np.uint32(MULTIPLIERS[1])
    return x ^ (x >> np.uint32(16))


def _as_uint32(x):
    return (np.asarray(x, "int64") & 0xFFFFFFFF).astype("uint32")
