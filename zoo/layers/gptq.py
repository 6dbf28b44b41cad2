"""Rounding that makes up for its own errors: GPTQ.

Frantar et al., 2022, https://arxiv.org/abs/2210.17323. A matrix is rounded an input at a time, and
what that changes in its outputs is taken back by the inputs that are not rounded yet, as far as
they have been seen to go together: by the products `H = X^T X` of a layer's inputs in texts of the
kind that the model is for.
"""

import numpy as np

from zoo.layers.quantized import choose_factors, largest_scale, pack

DAMPING = 0.01  # of the mean of H's diagonal, added to it


def gptq(products, rows, group):
    """What `zoo.layers.quantized.quantized` returns for int4.

    Args:
        products: float32 `(inputs, inputs)`: `X^T X` of a layer's inputs `(tokens, inputs)`.
        rows: float32 `(outputs, inputs)`.
        group: int, inputs that share a factor.

    Returns:
        uint8 `(outputs, inputs / 2)`, uint8 `(outputs, inputs / group)`, float32 `(outputs,)`.
    """
    scale = largest_scale(rows)
    left = rows / np.where(scale > 0, scale, 1)[:, None]
    importance = np.diag(products).astype("float32")
    inverse = inverse_factor(products)
    kept, factors = np.empty_like(left), []
    for start in range(0, left.shape[1], group):
        these, later = slice(start, start + group), slice(start + group, None)
        block, own = left[:, these].copy(), inverse[these, these]
        factor, _ = choose_factors(block[:, None], importance[these])
        factor = factor[:, 0]
        errors = np.empty_like(block)
        for i in range(block.shape[1]):
            kept[:, start + i] = whole = np.clip(np.rint(block[:, i] / factor[:, 0]), -8, 7)
            errors[:, i] = (block[:, i] - whole * factor[:, 0]) / own[i, i]
            block[:, i:] -= errors[:, i, None] * own[i, i:]
        left[:, later] -= errors @ inverse[these, later]
        factors.append(factor)
    return pack(kept), np.concatenate(factors, axis=1).astype("uint8"), scale


def inverse_factor(products):
    """The upper triangle U of `U^T U = H^-1`, float32; inputs that were always 0 stay alone."""
    products = products.astype("float64")
    never = np.diag(products) == 0
    products[never, never] = 1
    products[np.diag_indices_from(products)] += DAMPING * np.diag(products).mean()
    return np.linalg.cholesky(np.linalg.inv(products)).T.astype("float32")
